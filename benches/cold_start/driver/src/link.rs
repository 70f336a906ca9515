//! A modelled round-trip time between the function and a server on the same machine.
//!
//! A connection takes one round trip before its first bytes are forwarded, as TCP's handshake does, and each byte takes
//! half of one in each direction. So connecting, TLS 1.3 and a request take three round trips. Timers have a resolution
//! of a millisecond, so each wait can be up to one millisecond too long.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

const BUFFER_BYTES: usize = 256 * 1024;

/// Returns the far end of a connection that was accepted just now.
pub fn with_rtt(
    near: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    rtt: Duration,
) -> DuplexStream {
    let (to_far, far) = tokio::io::duplex(BUFFER_BYTES);
    let connected = Instant::now() + rtt;
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(to_far);
    tokio::spawn(forward(near_read, far_write, connected, rtt / 2));
    tokio::spawn(forward(far_read, near_write, connected, rtt / 2));
    far
}

/// Forwards bytes until either end is closed. None is sent before `connected`, and each takes `delay`.
async fn forward(
    mut from: impl AsyncRead + Send + Unpin + 'static,
    mut to: impl AsyncWrite + Send + Unpin + 'static,
    connected: Instant,
    delay: Duration,
) -> io::Result<()> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let arrival = Instant::now().max(connected) + delay;
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            if sender.send((arrival, bytes)).is_err() {
                break;
            }
        }
    });
    while let Some((arrival, bytes)) = receiver.recv().await {
        sleep_until(arrival).await;
        to.write_all(&bytes).await?;
        to.flush().await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time until the far end has the request, and until the near end has its response.
    #[tokio::test(start_paused = true)]
    async fn a_first_request_takes_two_round_trips_and_a_second_one_takes_one() {
        const RTT: Duration = Duration::from_millis(80);
        let (mut near, accepted) = tokio::io::duplex(BUFFER_BYTES);
        let mut far = with_rtt(accepted, RTT);
        let mut byte = [0];
        for expected in [[120, 160], [40, 80]] {
            let sent = Instant::now();
            near.write_all(b"?").await.expect("a request");
            far.read_exact(&mut byte).await.expect("a request");
            let arrived = sent.elapsed().as_millis();
            far.write_all(b"!").await.expect("a response");
            near.read_exact(&mut byte).await.expect("a response");
            assert_eq!([arrived, sent.elapsed().as_millis()], expected);
        }
    }
}
