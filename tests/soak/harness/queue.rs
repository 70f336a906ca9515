//! SQS, as far as messages can be lost or come twice there.
//!
//! A message that is handed out is hidden for the visibility timeout and comes again unless it is deleted; one that
//! was handed out too often moves to the dead-letter queue. Delivery is at least once and in no order: now and then a
//! message is handed out while it should be hidden, or again although it was deleted.
//!
//! All of it is one order by the time at which messages can next be had. Messages that S3 has not sent yet are in it
//! too, so the queue is drained when it is empty.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::deploys::Arrival;
use super::random::Random;

const ONE_IN_HIDDEN_BADLY: usize = 200;
const ONE_IN_DELETED_BADLY: usize = 500;

/// A message and its fate.
#[derive(Clone, Debug)]
pub struct Message {
    /// Which notice it carries.
    pub notice: usize,
    pub sent: SystemTime,
    pub receives: u32,
    pub first_received: Option<SystemTime>,
    /// When the function first reported it done.
    pub done: Option<SystemTime>,
    /// Whether it is in the dead-letter queue.
    pub dead: bool,
    visible: SystemTime,
}

impl Message {
    pub fn sent(arrival: Arrival) -> Self {
        Self {
            notice: arrival.notice,
            sent: arrival.at,
            receives: 0,
            first_received: None,
            done: None,
            dead: false,
            visible: arrival.at,
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

    pub fn send(&mut self, arrival: Arrival) {
        let id = self.messages.len();
        self.by_time.insert((arrival.at, id));
        self.messages.push(Message::sent(arrival));
    }

    /// Returns when a message can next be had; none if there never will be one.
    pub fn next_visible(&self) -> Option<SystemTime> {
        self.by_time.first().map(|(visible, _)| *visible)
    }

    /// Hands out a message and hides it, if one is visible.
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
            let hidden_badly = self.random.once_in(ONE_IN_HIDDEN_BADLY);
            message.visible = now
                + match hidden_badly {
                    true => self.random.up_to(self.visibility_timeout),
                    false => self.visibility_timeout,
                };
            self.by_time.insert((message.visible, id));
            return Some(id);
        }
    }

    /// Deletes a message that the function reported done; now and then it comes once more.
    pub fn delete(&mut self, id: usize, now: SystemTime) {
        let message = &mut self.messages[id];
        let first_time = message.done.is_none();
        message.done.get_or_insert(now);
        if !(first_time && self.random.once_in(ONE_IN_DELETED_BADLY)) {
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
        for notice in 0..messages {
            let at = UNIX_EPOCH;
            queue.send(Arrival { notice, at });
        }
        queue
    }

    fn receive_all(queue: &mut Queue, now: SystemTime) -> Vec<usize> {
        std::iter::from_fn(|| queue.receive(now)).collect()
    }

    #[test]
    fn a_message_comes_until_it_is_deleted_or_dead() {
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
    fn some_messages_come_early_and_some_come_after_they_were_deleted() {
        let mut queue = queue_of(10_000);
        for id in receive_all(&mut queue, UNIX_EPOCH) {
            assert!(id < 10_000);
        }
        let just_before = UNIX_EPOCH + VISIBILITY - Duration::from_millis(1);
        let early = receive_all(&mut queue, just_before).len();
        assert!((20..100).contains(&early), "{early} came early");
        for id in 0..10_000 {
            queue.delete(id, just_before);
        }
        let undead = receive_all(&mut queue, UNIX_EPOCH + VISIBILITY * 2);
        assert!((5..50).contains(&undead.len()), "{undead:?} came again");
        for id in undead {
            queue.delete(id, just_before);
        }
        assert_eq!(queue.next_visible(), None);
    }
}
