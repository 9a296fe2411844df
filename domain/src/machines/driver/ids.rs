//! The ids of a driver's commands. His machine alone sees them all, whoever decides a command, so
//! it alone can say that one was used for another (`docs/problems.md`, `idempotency_key_reused`).

use super::{DriverMachine, Output, Refusal, Turn, done};
use crate::facts::CommandKey;
use crate::machines::Envelope;

impl DriverMachine {
    /// Lets a command of his go on to whoever decides it, unless its id is another command's.
    pub(super) fn pass_on<R>(
        &mut self,
        turn: &mut Turn<'_, R>,
        key: &CommandKey,
        command: Envelope<R>,
    ) {
        if self.known.claim(key) {
            turn.out.push(Output::Send(command));
        } else if let Some(reply) = command.into_reply() {
            turn.reply(reply, Err(Refusal::IdempotencyKeyReused));
        }
    }

    /// Keeps an id for a command that no machine decides, unless it is another command's.
    pub(super) fn claim<R>(&mut self, turn: &mut Turn<'_, R>, key: &CommandKey, reply: R) {
        let claimed = self.known.claim(key).then(|| done(0, String::new()));
        turn.reply(reply, claimed.ok_or(Refusal::IdempotencyKeyReused));
    }
}
