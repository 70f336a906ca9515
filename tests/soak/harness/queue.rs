//! SQS, as far as it can lose messages or deliver them twice.
//!
//! A received message is hidden for the visibility timeout and then visible again, unless it is deleted. A message
//! that was received too often moves to the dead-letter queue. Delivery is at least once and in no order: rarely, a
//! message is received while it should be hidden, or after it was deleted.
//!
//! Messages are ordered by the time when they are next visible. Messages that S3 has not sent yet are included, so the
//! queue is drained when it is empty.
//!
//! Rules: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues-at-least-once-delivery.html>

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::deploys::Delivery;
use super::random::Random;

const ONE_IN_VISIBLE_TOO_EARLY: usize = 200;
const ONE_IN_RECEIVED_AFTER_DELETION: usize = 500;

/// A message and what happened to it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The index of the notification that it contains.
    pub notification: usize,
    pub sent: SystemTime,
    pub receives: u32,
    pub first_received: Option<SystemTime>,
    /// When the function first reported it as successful.
    pub succeeded_at: Option<SystemTime>,
    /// Whether it is in the dead-letter queue.
    pub dead: bool,
    visible: SystemTime,
}

impl Message {
    pub fn sent(delivery: Delivery) -> Self {
        Self {
            notification: delivery.notification,
            sent: delivery.at,
            receives: 0,
            first_received: None,
            succeeded_at: None,
            dead: false,
            visible: delivery.at,
        }
    }
}

/// A queue with its dead-letter queue.
#[derive(Debug)]
pub struct Queue {
    messages: Vec<Message>,
    by_time: BTreeSet<(SystemTime, usize)>,
    visibility_timeout: Duration,
    max_receives: u32,
    random: Random,
}

impl Queue {
    pub fn new(visibility_timeout: Duration, max_receives: u32, random: Random) -> Self {
        Self {
            messages: Vec::new(),
            by_time: BTreeSet::new(),
            visibility_timeout,
            max_receives,
            random,
        }
    }

    pub fn send(&mut self, delivery: Delivery) {
        let id = self.messages.len();
        self.by_time.insert((delivery.at, id));
        self.messages.push(Message::sent(delivery));
    }

    /// Returns when the next message is visible; `None` if there are no more messages.
    pub fn next_visible(&self) -> Option<SystemTime> {
        self.by_time.first().map(|(visible, _)| *visible)
    }

    /// Receives a message and hides it; `None` if none is visible.
    pub fn receive(&mut self, now: SystemTime) -> Option<usize> {
        loop {
            let (visible, id) = *self.by_time.first()?;
            if visible > now {
                return None;
            }
            self.by_time.pop_first();
            let message = &mut self.messages[id];
            if message.receives == self.max_receives {
                message.dead = true;
                continue;
            }
            message.receives += 1;
            message.first_received.get_or_insert(now);
            let hidden = if self.random.one_in(ONE_IN_VISIBLE_TOO_EARLY) {
                self.random.up_to(self.visibility_timeout)
            } else {
                self.visibility_timeout
            };
            message.visible = now + hidden;
            self.by_time.insert((message.visible, id));
            return Some(id);
        }
    }

    /// Deletes a message that the function reported as successful; rarely, it is received once more.
    pub fn delete(&mut self, id: usize, now: SystemTime) {
        let message = &mut self.messages[id];
        let first_time = message.succeeded_at.is_none();
        message.succeeded_at.get_or_insert(now);
        if !(first_time && self.random.one_in(ONE_IN_RECEIVED_AFTER_DELETION)) {
            self.by_time.remove(&(message.visible, id));
        }
    }

    pub fn message(&self, id: usize) -> &Message {
        &self.messages[id]
    }

    pub fn messages(&self) -> &[Message] {
        &self.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    const VISIBILITY: Duration = Duration::from_secs(30);

    fn queue_of(messages: usize) -> Queue {
        let mut queue = Queue::new(VISIBILITY, 2, Random::new(1));
        for notification in 0..messages {
            let at = UNIX_EPOCH;
            queue.send(Delivery { notification, at });
        }
        queue
    }

    fn receive_all(queue: &mut Queue, now: SystemTime) -> Vec<usize> {
        std::iter::from_fn(|| queue.receive(now)).collect()
    }

    #[test]
    fn a_message_is_received_until_it_is_deleted_or_moved_to_the_dead_letter_queue() {
        let mut queue = queue_of(3);
        let moment = |times: u32| UNIX_EPOCH + VISIBILITY * times;
        assert_eq!(receive_all(&mut queue, moment(0)), [0, 1, 2]);
        assert!(receive_all(&mut queue, moment(0)).is_empty());
        queue.delete(1, moment(0));
        assert_eq!(receive_all(&mut queue, moment(1)), [0, 2]);
        queue.delete(0, moment(1));
        assert!(receive_all(&mut queue, moment(2)).is_empty());
        let dead = queue.messages().iter().map(|message| message.dead);
        assert_eq!(dead.collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(queue.next_visible(), None);
    }

    #[test]
    fn some_messages_are_received_too_early_and_some_after_their_deletion() {
        let mut queue = queue_of(10_000);
        for id in receive_all(&mut queue, UNIX_EPOCH) {
            assert!(id < 10_000);
        }
        let just_before = UNIX_EPOCH + VISIBILITY - Duration::from_millis(1);
        let early = receive_all(&mut queue, just_before).len();
        assert!(
            (20..100).contains(&early),
            "{early} were received too early"
        );
        for id in 0..10_000 {
            queue.delete(id, just_before);
        }
        let again = receive_all(&mut queue, UNIX_EPOCH + VISIBILITY * 2);
        assert!(
            (5..50).contains(&again.len()),
            "{again:?} were received again"
        );
        for id in again {
            queue.delete(id, just_before);
        }
        assert_eq!(queue.next_visible(), None);
    }
}
