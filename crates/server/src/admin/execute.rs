//! What each command does to the store: the same whether a server runs or not.

use crate::control::{Answer, BATCH_MAX, Command, NewMember, Refusal};
use crate::directory::Change;
use crate::store::{Store, StoreError};

/// Carries out a command. The changes are durable; it is for the caller to tell them to whoever has to know.
pub(crate) fn execute(store: &Store, now_unix_s: u64, command: Command) -> (Answer, Vec<Change>) {
    let done = |changes| (Answer::Done, changes);
    let result = match command {
        Command::AddMember(NewMember { member, password }) => {
            store.add_member(member, password, now_unix_s).map(done)
        }
        Command::SetPassword(NewMember { member, password }) => {
            store.set_password(&member, password).map(|()| done(Vec::new()))
        }
        Command::DisableMember(member) => store.set_disabled(&member, true).map(done),
        Command::EnableMember(member) => store.set_disabled(&member, false).map(done),
        Command::RemoveMember(member) => store.remove_member(&member).map(done),
        Command::MissingMembers(names) => store.missing(names).map(|names| told(Answer::Missing(names))),
        Command::ImportMembers(members) => {
            let members = members.into_iter().map(|NewMember { member, password }| (member, password));
            let added = |changes: Vec<Change>| (Answer::Imported { added: changes.len() }, changes);
            store.import(members.collect(), now_unix_s).map(added)
        }
        Command::ListMembers { after } => {
            store.members(after.as_ref(), BATCH_MAX).map(|rows| told(Answer::Members(rows)))
        }
        Command::ListDevices { member, after } => {
            let rows = store.devices(member.as_ref(), after.as_ref(), BATCH_MAX);
            rows.map(|rows| told(Answer::Devices(rows)))
        }
        Command::RevokeDevice(start) => {
            let found = store.devices_that(|device| start.fits(device), 2);
            found.and_then(|found| match found.as_slice() {
                [] => Err(StoreError::NoDevice),
                [device] => {
                    let (member, changes) = store.revoke_device(device)?;
                    Ok((Answer::Revoked { device: *device, member }, changes))
                }
                _ => Ok(told(Answer::Refused(Refusal::SeveralDevices))),
            })
        }
        // Who has the store has no socket, and whoever asks there gets no further than to the socket.
        Command::ListeningAddress | Command::Export => Ok(told(Answer::Refused(Refusal::NotRunning))),
    };
    result.unwrap_or_else(|error| told(Answer::Refused(refusal(&error))))
}

fn told(answer: Answer) -> (Answer, Vec<Change>) {
    (answer, Vec::new())
}

fn refusal(error: &StoreError) -> Refusal {
    match error {
        StoreError::NoMember => Refusal::NoMember,
        StoreError::MemberExists => Refusal::MemberExists,
        StoreError::TooManyMembers => Refusal::TooManyMembers,
        StoreError::NoDevice => Refusal::NoDevice,
        StoreError::File(_)
        | StoreError::Damaged { .. }
        | StoreError::Thread(_)
        | StoreError::Database(_)
        | StoreError::Record(_)
        | StoreError::TooManyDevices
        | StoreError::TooManyPublications => {
            tracing::error!(%error, "a command failed");
            Refusal::Store(error.to_string())
        }
    }
}
