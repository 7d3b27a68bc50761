//! Calls: requests that somebody waits for.

use std::time::Instant;

use bittrickle_wire::messages::{Reply, Request};

use super::offers::Replaced;
use super::{CallError, CallId, Output, Phase, Purpose, Session};

/// What is known of a call beside its request.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// What to undo should it fail.
    replaced: Replaced,
    /// How often the index has had no session for it.
    returns: u32,
}

/// How often a call is asked again after a return. An index that never has a session for it gives no answer.
const CALL_RETURNS_MAX: u32 = 3;

impl Session {
    /// Asks the index something. The answer comes as [`Output::Finished`].
    pub fn call(&mut self, now: Instant, request: Request) -> CallId {
        let call = self.number_call();
        let replaced = self.offers.note(&request);
        self.calls.insert(call, Call { replaced, returns: 0 });
        match self.phase {
            Phase::Online => self.send(now, Purpose::Call(call), request),
            Phase::Starting | Phase::Returning => self.waiting.push_back((call, request)),
            Phase::Closed => self.finish(call, Err(CallError::Closed)),
        }
        call
    }

    pub(super) fn number_call(&mut self) -> CallId {
        let call = CallId(self.next_call);
        self.next_call += 1;
        call
    }

    /// Whether a call for which the index has no session is asked again when there is one.
    pub(super) fn may_wait_for_return(&mut self, call: CallId) -> bool {
        let call = self.calls.entry(call).or_default();
        call.returns += 1;
        call.returns <= CALL_RETURNS_MAX
    }

    /// A call has failed. What was on offer before is so still. Should it have arrived all the same, the digest tells, and
    /// the index is set right.
    pub(super) fn fail(&mut self, call: CallId, error: CallError) {
        if let Some(Call { replaced, .. }) = self.calls.remove(&call) {
            self.offers.undo(replaced);
        }
        self.finish(call, Err(error));
    }

    pub(super) fn finish(&mut self, call: CallId, result: Result<Reply, CallError>) {
        self.calls.remove(&call);
        self.outputs.push_back(Output::Finished(call, result));
    }
}
