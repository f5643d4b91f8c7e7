//! Checkpoints: every so many events, and at a stop, the node's TLS key signs how far the audit trail goes.
//!
//! Beside the watch and never in its way: a signer that is slow, or cannot, costs a checkpoint and nothing else.

use std::cell::RefCell;
use std::time::Duration;

use contract::{Bytes, TlsPublicKey};
use tokio::sync::oneshot;

use super::Verifier;
use super::start::Sidecar;
use crate::audit::chain::Link;
use crate::audit::{Event, checkpoint};
use crate::clock;
use crate::launch::sockets::Place;
use crate::signed::{self, Kind, SignError};
use crate::text::one_line;

/// How long a stop waits for the last one, and any other may take.
const AT_STOP: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

/// What is known of the checkpoints of this run.
#[derive(Debug, Default)]
pub(super) struct Checkpoints(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    /// The entry that was last asked for.
    last: u64,
    asked: Option<Asked>,
    /// That the signer cannot is told once, until it can again.
    told: bool,
}

#[derive(Debug)]
struct Asked {
    link: Link,
    time: String,
    key: TlsPublicKey,
    answer: oneshot::Receiver<Result<Bytes, SignError>>,
}

/// What is to be signed now, and when now is.
fn said(link: &Link) -> (String, (Kind, String)) {
    let time = clock::utc_micros(clock::now_micros());
    let statement = checkpoint::statement(link, Some(&time));
    (time, statement)
}

impl Verifier<'_> {
    /// Records the checkpoint that was asked for, where the answer came, and asks for the next where it is due.
    pub(super) fn checkpoint(&self, sidecar: &Sidecar) {
        self.take_checkpoint();
        let every = sidecar.settings.checkpoint_events;
        let Some(link) = self.audit.head() else { return };
        let mut state = self.checkpoints.0.borrow_mut();
        if every == 0 || state.asked.is_some() || link.seq < state.last.saturating_add(every) {
            return;
        }
        let (client, key) = (self.client(&sidecar.settings, Place::First, sidecar.child.pid()), sidecar.identity.tls);
        let client = client.with_timeout(LONGEST);
        let (answered, answer) = oneshot::channel();
        let (time, (kind, statement)) = said(&link);
        tokio::spawn(async move {
            let signed = signed::sign(&client, &key, kind, statement.as_bytes()).await;
            // Nobody waits for it any more where the service ends.
            let _ = answered.send(signed);
        });
        state.last = link.seq;
        state.asked = Some(Asked { link, time, key, answer });
    }

    /// The last one of a run, while there is a sidecar to ask.
    pub(super) async fn last_checkpoint(&self, sidecar: &Sidecar) {
        self.take_checkpoint();
        let Some(link) = self.audit.head().filter(|_| sidecar.settings.checkpoint_events > 0) else { return };
        let (client, key) = (self.client(&sidecar.settings, Place::First, sidecar.child.pid()), sidecar.identity.tls);
        let client = client.with_timeout(AT_STOP);
        let (time, (kind, statement)) = said(&link);
        let signed = signed::sign(&client, &key, kind, statement.as_bytes()).await;
        self.record_checkpoint(link, time, &key, signed);
    }

    fn take_checkpoint(&self) {
        let Some(mut asked) = self.checkpoints.0.borrow_mut().asked.take() else { return };
        match asked.answer.try_recv() {
            Ok(signed) => self.record_checkpoint(asked.link, asked.time, &asked.key, signed),
            Err(oneshot::error::TryRecvError::Empty) => self.checkpoints.0.borrow_mut().asked = Some(asked),
            Err(oneshot::error::TryRecvError::Closed) => {}
        }
    }

    fn record_checkpoint(&self, link: Link, time: String, key: &TlsPublicKey, signed: Result<Bytes, SignError>) {
        let told = match signed {
            Ok(signature) => {
                let (signature, pubkey) = (signature.to_string(), key.to_string());
                self.audit.record(&Event::Checkpoint { seq: link.seq, hash: link.hash, time, signature, pubkey });
                false
            }
            Err(error) => {
                if !self.checkpoints.0.borrow().told {
                    self.audit.record(&Event::CheckpointFailed { seq: link.seq, why: one_line(&error) });
                }
                true
            }
        };
        self.checkpoints.0.borrow_mut().told = told;
    }
}
