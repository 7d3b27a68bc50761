//! What administrators do from the command line: members, devices, invites. With the server running or stopped.
//!
//! | file | what it holds |
//! |---|---|
//! | `arguments.rs` | the command line |
//! | `reach.rs` | to the store by itself, or through the running server |
//! | `execute.rs` | what each command does to the store, the same either way |
//! | `import.rs` | the original's file of members |
//! | `backup.rs` | a copy of all, in a new folder |
//! | `exports.rs` | all as lines of JSON, written and read |
//! | `source.rs` | where these lines come from |
//! | `draft.rs` | files and folders that have their names when they are complete |
//! | `progress.rs` | how far a long command has come |
//! | `output.rs` | lists |

mod arguments;
mod backup;
mod draft;
mod error;
mod execute;
mod exports;
mod import;
mod output;
mod progress;
mod reach;
mod source;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use bittrickle_secret::{PasswordSource, password};
use bittrickle_wire::seal::{Host, Invite};
use bittrickle_wire::{Password, escaped};

use crate::accounts::PasswordHash;
use crate::control::{Answer, BATCH_MAX, Command, FingerprintStart, NewMember, Refusal};
use crate::server_key;
use crate::store::{DeviceRow, MemberRow};
use arguments::{Account, DeviceCommand, UserCommand};
use reach::{Missing, Reach};

pub(crate) use arguments::AdminCommand;
pub(crate) use error::AdminError;
pub(crate) use execute::execute;
pub(crate) use import::{CredentialsFile, CredentialsFileError, hash};

/// Does what the command line says. What it finds out goes to stdout, everything else to stderr.
pub(crate) fn run(data_dir: &Path, command: &AdminCommand) -> Result<(), AdminError> {
    match command {
        AdminCommand::User(UserCommand::Add(account)) => add(data_dir, account),
        AdminCommand::User(UserCommand::Passwd(account)) => change_password(data_dir, account),
        AdminCommand::User(UserCommand::Disable(name)) => {
            change(data_dir, Command::DisableMember(name.member.clone()), "disabled", name.member.as_str())
        }
        AdminCommand::User(UserCommand::Enable(name)) => {
            change(data_dir, Command::EnableMember(name.member.clone()), "enabled", name.member.as_str())
        }
        AdminCommand::User(UserCommand::Remove(name)) => {
            change(data_dir, Command::RemoveMember(name.member.clone()), "removed", name.member.as_str())
        }
        AdminCommand::User(UserCommand::List { format }) => {
            let rows = members(&Reach::open(data_dir, Missing::Refuse)?)?;
            print(|output| output::write_members(output, &rows, format.json))
        }
        AdminCommand::User(UserCommand::Import { file }) => import_file(data_dir, file),
        AdminCommand::Device(DeviceCommand::List { member, format }) => {
            let mut rows = devices(&Reach::open(data_dir, Missing::Refuse)?, member.as_ref())?;
            rows.sort_by(|a, b| (&a.member, a.enrolled_unix_s).cmp(&(&b.member, b.enrolled_unix_s)));
            print(|output| output::write_devices(output, &rows, format.json))
        }
        AdminCommand::Device(DeviceCommand::Revoke { fingerprint }) => revoke(data_dir, fingerprint),
        AdminCommand::Invite { host } => invite(data_dir, host.as_ref()),
        AdminCommand::Backup { folder } => backup::backup(data_dir, folder),
        AdminCommand::Export { file } => exports::export(data_dir, file),
        AdminCommand::Import { file } => exports::import(data_dir, file),
    }
}

fn add(data_dir: &Path, account: &Account) -> Result<(), AdminError> {
    let names = vec![account.member.clone()];
    // Before anybody types a password in vain. Whether it is still so is found out when it is done.
    match Reach::open(data_dir, Missing::Create)?.run(Command::MissingMembers(names))? {
        Answer::Missing(names) if names.is_empty() => return Err(Refusal::MemberExists.into()),
        _ => {}
    }
    let member = NewMember { member: account.member.clone(), password: new_password(account)? };
    change(data_dir, Command::AddMember(member), "added", account.member.as_str())
}

fn change_password(data_dir: &Path, account: &Account) -> Result<(), AdminError> {
    let names = vec![account.member.clone()];
    match Reach::open(data_dir, Missing::Refuse)?.run(Command::MissingMembers(names))? {
        Answer::Missing(names) if !names.is_empty() => return Err(Refusal::NoMember.into()),
        _ => {}
    }
    let member = NewMember { member: account.member.clone(), password: new_password(account)? };
    change(data_dir, Command::SetPassword(member), "changed the password of", account.member.as_str())
}

/// Takes the password and hashes it. The data folder isn't held meanwhile: people type slowly.
fn new_password(account: &Account) -> Result<PasswordHash, AdminError> {
    let prompt = format!("New password for {}: ", escaped(account.member.as_str()));
    let source = account.source();
    let typed = password(&source, &prompt, source == PasswordSource::Terminal)?;
    Ok(PasswordHash::of(&Password::new(&typed).map_err(AdminError::NotAPassword)?)?)
}

fn change(data_dir: &Path, command: Command, done: &str, name: &str) -> Result<(), AdminError> {
    Reach::open(data_dir, Missing::Refuse)?.run(command)?;
    print(|output| writeln!(output, "{done} {}", escaped(name)))
}

fn members(reach: &Reach) -> Result<Vec<MemberRow>, AdminError> {
    let mut rows: Vec<MemberRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.member.clone());
        let Answer::Members(mut more) = reach.run(Command::ListMembers { after })? else {
            return Err(AdminError::Unexpected);
        };
        let complete = more.len() < BATCH_MAX;
        rows.append(&mut more);
        if complete {
            return Ok(rows);
        }
    }
}

fn devices(
    reach: &Reach,
    member: Option<&bittrickle_wire::MemberName>,
) -> Result<Vec<DeviceRow>, AdminError> {
    let mut rows: Vec<DeviceRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.device);
        let command = Command::ListDevices { member: member.cloned(), after };
        let Answer::Devices(mut more) = reach.run(command)? else { return Err(AdminError::Unexpected) };
        let complete = more.len() < BATCH_MAX;
        rows.append(&mut more);
        if complete {
            return Ok(rows);
        }
    }
}

fn import_file(data_dir: &Path, path: &Path) -> Result<(), AdminError> {
    let CredentialsFile { members, exposed } = CredentialsFile::read(path)?;
    let count = members.len();
    let names: Vec<_> = members.iter().map(|(name, _)| name.clone()).collect();
    let reach = Reach::open(data_dir, Missing::Create)?;
    let mut missing = Vec::new();
    for names in names.chunks(BATCH_MAX) {
        let Answer::Missing(mut names) = reach.run(Command::MissingMembers(names.to_vec()))? else {
            return Err(AdminError::Unexpected);
        };
        missing.append(&mut names);
    }
    // The data folder isn't held while passwords are hashed: that may take minutes.
    drop(reach);
    let hashed = hash(members, missing)?;
    let reach = Reach::open(data_dir, Missing::Refuse)?;
    let mut added_in_all = 0;
    for batch in hashed.chunks(BATCH_MAX) {
        let members = batch.iter().cloned().map(|(member, password)| NewMember { member, password });
        let Answer::Imported { added } = reach.run(Command::ImportMembers(members.collect()))? else {
            return Err(AdminError::Unexpected);
        };
        added_in_all += added;
    }
    print(|output| writeln!(output, "{added_in_all} added, {} there already", count - added_in_all))?;
    if exposed {
        eprintln!("bittrickle-server: other users can read {}; delete it", path.display());
    }
    Ok(())
}

fn revoke(data_dir: &Path, fingerprint: &FingerprintStart) -> Result<(), AdminError> {
    let command = Command::RevokeDevice(fingerprint.clone());
    let Answer::Revoked { device, member } = Reach::open(data_dir, Missing::Refuse)?.run(command)? else {
        return Err(AdminError::Unexpected);
    };
    print(|output| writeln!(output, "revoked {} of {}", device.fingerprint(), escaped(member.as_str())))
}

fn invite(data_dir: &Path, host: Option<&Host>) -> Result<(), AdminError> {
    let host = match host {
        Some(host) => {
            bittrickle_secret::create_folder(data_dir)?;
            bittrickle_secret::check_folder(data_dir)?;
            host.clone()
        }
        None => match Reach::open(data_dir, Missing::Refuse)?.run(Command::ListeningAddress) {
            Ok(Answer::Listening(address)) => host_of(address)?,
            Ok(_) => return Err(AdminError::Unexpected),
            Err(AdminError::Refused(Refusal::NotRunning)) => return Err(AdminError::NotRunning),
            Err(error) => return Err(error),
        },
    };
    let key = server_key::load(data_dir)?.public();
    print(|output| writeln!(output, "{}", Invite { host, key }))?;
    eprintln!("the server's fingerprint is {}", key.fingerprint());
    Ok(())
}

/// The address as a host, if it tells one.
fn host_of(address: SocketAddr) -> Result<Host, AdminError> {
    let specific = !address.ip().is_unspecified();
    let host = specific.then(|| address.to_string().parse().ok()).flatten();
    host.ok_or(AdminError::Everywhere { address })
}

/// Writes to stdout. A reader who has gone is no error.
fn print(
    write: impl FnOnce(&mut io::BufWriter<io::StdoutLock<'_>>) -> io::Result<()>,
) -> Result<(), AdminError> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    match write(&mut output).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(AdminError::Output(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
