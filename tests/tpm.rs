//! What is launched goes into a TPM, and evidence carries the TPM's word on it.

#[path = "support/node.rs"]
mod node;
#[path = "support/signing.rs"]
mod signing;
mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use contract::{Bytes, Digest};
use cryftgo_tee::evidence::tpm::qualifying;
use cryftgo_tee::tpm::{self, Log, Tpm, TpmError, UNTOUCHED, extended};
use nix::sys::signal::{Signal, kill};
use node::{Node, SoftTpm, bytes, digest_of, resigned, verify, wrong};
use serde_json::{Value, json};
use support::Host;

#[test]
fn every_launch_is_extended_before_it_runs_and_another_program_reads_the_same_value() {
    const NAME: &str = "every_launch_is_extended_before_it_runs_and_another_program_reads_the_same_value";
    let Some(node) = Node::new(NAME) else { return };
    assert_eq!(node.soft.pcr(), UNTOUCHED);
    let mut running = node.start();
    let once = extended(UNTOUCHED, node.digest);
    assert_eq!(node.soft.pcr(), once);
    let told = running.stderr();
    let at = |text: &str| told.find(text).unwrap_or_else(|| panic!("{text:?} in {told}"));
    assert!(at("Accepted") < at(&format!("Extended PCR 13 of the TPM with {}: it has {once}", node.digest)), "{told}");
    assert!(at("Extended PCR 13") < at("Launched the sidecar"), "{told}");
    // One that crashed is launched again, and so does another run of the verifier.
    kill(running.sidecar(), Signal::SIGKILL).expect("kill");
    running.wait_for("READY=1");
    let twice = extended(once, node.digest);
    assert_eq!(node.soft.pcr(), twice);
    assert_eq!(running.stop().code, Some(0));
    let running = node.start();
    let thrice = extended(twice, node.digest);
    assert_eq!(node.soft.pcr(), thrice);
    let log = node.log();
    assert_eq!((log.baseline, log.entries.len(), log.replay()), (UNTOUCHED, 3, thrice));
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn evidence_with_a_quote_holds_and_other_programs_agree() {
    let Some(node) = Node::new("evidence_with_a_quote_holds_and_other_programs_agree") else { return };
    let _running = node.start();
    let document = node.document();
    let (code, said) = verify(&document, &["--require-tpm"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("?      tpm-key    nobody says that it is a key of that host's TPM"), "{said}");
    for line in ["ok     tpm-quote", "ok     tpm-pcr", "ok     tpm-log", "ok     tpm-digest"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let part = &document["statement"]["tpm"];
    assert_eq!(part["value"], json!(node.soft.pcr()));

    // The key, as tpm2-tools make it of the same template.
    let folder = node.soft.folder.path();
    for (program, arguments) in [
        (
            "tpm2_createprimary",
            &["-C", "e", "-G", "ecc256:ecdsa-sha256:null", "-a", ATTRIBUTES, "-c", "key.ctx", "-Q"][..],
        ),
        ("tpm2_flushcontext", &["-t"]),
        ("tpm2_readpublic", &["-c", "key.ctx", "-o", "key.tss", "-Q"]),
        ("tpm2_flushcontext", &["-t"]),
    ] {
        let output = node.soft.tool(program, arguments);
        assert!(output.status.success(), "{program}: {output:?}");
    }
    let key = fs::read(folder.join("key.tss")).expect("read");
    assert_eq!(bytes(&part["key"]), key);
    let key_file = folder.join("key.tss");
    for given in [part["key"].as_str().expect("text"), key_file.to_str().expect("text")] {
        let (_, said) = verify(&document, &["--require-tpm", "--tpm-key", given]);
        assert!(wrong(&said).is_empty() && said.contains("ok     tpm-key    it is the one that was given"), "{said}");
    }

    // The quote, as tpm2-tools check it.
    fs::write(folder.join("quote"), bytes(&part["quote"])).expect("write");
    fs::write(folder.join("signature"), bytes(&part["signature"])).expect("write");
    let bound = qualifying(&document["statement"]).to_string();
    let checked = |bound: &str| {
        let arguments = ["-u", "key.tss", "-m", "quote", "-s", "signature", "-g", "sha256", "-q", bound];
        node.soft.tool("tpm2_checkquote", &arguments).status.success()
    };
    assert!(checked(&bound["sha256:".len()..]), "tpm2_checkquote does not take it");
    assert!(!checked(&"00".repeat(32)), "tpm2_checkquote takes anything");
}

const ATTRIBUTES: &str = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign";

#[test]
fn each_forgery_is_refused_with_a_line_that_names_it_whoever_signs_the_document() {
    const NAME: &str = "each_forgery_is_refused_with_a_line_that_names_it_whoever_signs_the_document";
    let Some(node) = Node::new(NAME) else { return };
    let mut running = node.start();
    kill(running.sidecar(), Signal::SIGKILL).expect("kill");
    running.wait_for("READY=1");
    let document = node.document();
    let (code, said) = verify(&resigned(&document, |_| ()), &["--require-tpm"]);
    assert_eq!(code, Some(0), "{said}");
    let other_digest = Digest::new([7; 32]).to_string();
    let bit = |statement: &mut Value, part: &str, at: usize| {
        let mut changed = bytes(&statement["tpm"][part]);
        changed[at] ^= 1;
        statement["tpm"][part] = json!(Bytes(changed));
    };
    // A quote of the same TPM, for another question.
    let earlier = node.evidence_for("00000000000000ff", &[]).stdout;
    let replayed = serde_json::from_slice::<Value>(&earlier).expect("JSON")["statement"]["tpm"].clone();
    /// What is changed, and the lines that name it.
    type Case<'a> = (Box<dyn FnOnce(&mut Value) + 'a>, &'a [&'a str]);
    let cases: Vec<Case<'_>> = vec![
        (
            Box::new(|s| bit(s, "quote", 0)),
            &["tpm-quote  it is no statement of a TPM", "tpm-pcr    it is no statement"],
        ),
        (Box::new(|s| bit(s, "quote", 70)), &["tpm-quote  the signature is by another key"]),
        (Box::new(|s| bit(s, "signature", 40)), &["tpm-quote  the signature is by another key"]),
        (Box::new(|s| s["tpm"] = replayed), &["tpm-quote  it was made for another statement"]),
        (Box::new(|s| s["sidecar"]["pid"] = 1.into()), &["tpm-quote  it was made for another statement"]),
        (
            Box::new(|s| s["tpm"]["value"] = json!(UNTOUCHED)),
            &["tpm-pcr    the quote is not of PCR 13 with", "tpm-log    the value of the PCR does not follow"],
        ),
        (
            Box::new(|s| s["tpm"]["pcr"] = 16.into()),
            &["tpm-pcr    PCR 16 is not one that stays", "tpm-log    it is of"],
        ),
        (
            Box::new(|s| s["tpm"]["log"]["entries"][0]["digest"] = other_digest.as_str().into()),
            &["tpm-log    the value of the PCR does not follow"],
        ),
        (
            Box::new(|s| drop(s["tpm"]["log"]["entries"].as_array_mut().expect("a list").pop())),
            &["tpm-log    the value of the PCR does not follow"],
        ),
        (
            Box::new(|s| s["tpm"]["log"]["entries"][1]["digest"] = other_digest.as_str().into()),
            &["tpm-log    the value of the PCR does not follow", "tpm-digest sha256:0707"],
        ),
        (
            Box::new(|s| s["tpm"]["log"]["baseline"] = other_digest.as_str().into()),
            &["tpm-log    the value of the PCR does not follow"],
        ),
        (Box::new(|s| drop(s["tpm"].take())), &["tpm        no TPM vouches"]),
    ];
    for (change, named) in cases {
        let (code, said) = verify(&resigned(&document, change), &["--require-tpm"]);
        assert_eq!(code, Some(77), "{said}");
        let found = wrong(&said);
        assert!(
            found.len() == named.len() && found.iter().zip(named).all(|(line, name)| line.contains(name)),
            "{named:?}: {said}"
        );
    }
    // Another nonce. The quote is for the one in the statement, so that line stays good.
    let (code, said) = verify(&document, &["--nonce", "8f1c09a2d4e67b36"]);
    assert!(code == Some(77) && wrong(&said).len() == 1 && said.contains("WRONG  nonce"), "{said}");
    // Its nonce changed to the one that is asked for.
    let forged = resigned(&document, |s| s["nonce"] = "8f1c09a2d4e67b36".into());
    let (code, said) = verify(&forged, &["--nonce", "8f1c09a2d4e67b36"]);
    assert!(code == Some(77) && wrong(&said).len() == 1 && said.contains("WRONG  tpm-quote"), "{said}");
    // Without a quote, nothing is claimed unless it was asked for.
    let (_, said) = verify(&resigned(&document, |s| drop(s["tpm"].take())), &[]);
    assert!(wrong(&said).is_empty() && said.contains("?      tpm "), "{said}");
}

#[test]
fn the_key_of_another_tpm_is_refused_although_its_quote_is_good() {
    let Some(node) = Node::new("the_key_of_another_tpm_is_refused_although_its_quote_is_good") else { return };
    let _running = node.start();
    let document = node.document();
    // A TPM of the forger's own, into which he extends what should run, and nothing else.
    let Some(other) = SoftTpm::start("", node.host.path("other.sock")) else { return };
    let forged = resigned(&document, |statement| {
        let mut tpm = Tpm::open(&other.socket, tpm::AT_MOST_TO_QUOTE).expect("open");
        tpm.extend(13, node.digest).expect("extend");
        let quoted = tpm.quote(13, qualifying(statement)).expect("quote");
        let part = &mut statement["tpm"];
        part["key"] = json!(Bytes(quoted.key));
        part["quote"] = json!(Bytes(quoted.attest));
        part["signature"] = json!(Bytes(quoted.signature));
    });
    let (_, said) = verify(&forged, &[]);
    assert!(wrong(&said).is_empty() && said.contains("?      tpm-key    nobody says"), "{said}");
    let (code, said) = verify(&forged, &["--tpm-key", document["statement"]["tpm"]["key"].as_str().expect("text")]);
    assert!(code == Some(77) && wrong(&said).len() == 1 && said.contains("WRONG  tpm-key"), "{said}");
    assert_eq!(verify(&forged, &["--tpm-key", "0x00"]).0, Some(64));
}

#[test]
fn what_something_else_extends_is_told_and_evidence_does_not_hold_any_more() {
    let Some(node) = Node::new("what_something_else_extends_is_told_and_evidence_does_not_hold_any_more") else {
        return;
    };
    let running = node.start();
    node.soft.extend(&"ee".repeat(32));
    let (code, said) = verify(&node.document(), &[]);
    assert!(code == Some(77) && wrong(&said).len() == 1, "{said}");
    assert!(wrong(&said)[0].contains("tpm-log    the value of the PCR does not follow"), "{said}");
    assert_eq!(running.stop().code, Some(0));
    let running = node.start();
    assert!(running.stderr().contains("something else extended it since the last launch"), "{}", running.stderr());
    assert!(node.log().entries[1].found.is_some() && node.log().replay() == node.soft.pcr());
    let (code, said) = verify(&node.document(), &[]);
    assert!(code == Some(77) && wrong(&said).len() == 1, "{said}");
    assert!(wrong(&said)[0].contains("something else than the service extended the PCR"), "{said}");
    // A log that begins after it accounts for the value, and is not taken for the whole story.
    assert_eq!(running.stop().code, Some(0));
    fs::remove_file(node.host.path("tpm.json")).expect("remove");
    let _running = node.start();
    let (_, said) = verify(&node.document(), &[]);
    assert!(
        wrong(&said).is_empty() && said.contains("?      tpm-log    the value follows from the last 1 launches"),
        "{said}"
    );
    // Whoever must know every launch says so, or what the PCR has at first on that host.
    let document = node.document();
    let baseline = node.log().baseline.to_string();
    assert_eq!(verify(&document, &["--require-tpm", "--tpm-baseline", &baseline]).0, Some(0));
    for more in [&["--require-tpm"][..], &["--tpm-baseline", &UNTOUCHED.to_string()]] {
        let (code, said) = verify(&document, more);
        assert!(code == Some(77) && wrong(&said).len() == 1 && said.contains("WRONG  tpm-log"), "{said}");
    }
}

#[test]
fn a_start_that_was_killed_between_the_extend_and_its_note_is_accounted_for() {
    let Some(node) = Node::new("a_start_that_was_killed_between_the_extend_and_its_note_is_accounted_for") else {
        return;
    };
    assert_eq!(node.start().stop().code, Some(0));
    let path = node.host.path("tpm.json");
    // As the file was before the note.
    let intended = fs::read_to_string(&path).expect("read").replace("\"done\":true", "\"done\":false");
    assert!(intended.contains("\"done\":false"));
    fs::write(&path, &intended).expect("write");
    let _running = node.start();
    let log = node.log();
    assert_eq!((log.entries.len(), log.replay()), (2, node.soft.pcr()));
    assert!(log.entries.iter().all(|entry| entry.done && entry.found.is_none()), "{log:?}");
    // The same where evidence is the first to look.
    let undone = fs::read_to_string(&path).expect("read");
    let at = undone.rfind("\"done\":true").expect("there");
    fs::write(&path, format!("{}\"done\":false{}", &undone[..at], &undone[at + 11..])).expect("write");
    assert_eq!(wrong(&verify(&node.document(), &[]).1), [""; 0]);
}

#[test]
fn nothing_of_ours_stays_in_the_tpm() {
    let Some(node) = Node::new("nothing_of_ours_stays_in_the_tpm") else { return };
    let _running = node.start();
    // It has room for three.
    for _ in 0..5 {
        node.document();
    }
    let loaded = node.soft.tool("tpm2_getcap", &["handles-transient"]);
    assert!(loaded.status.success() && loaded.stdout.is_empty(), "{loaded:?}");
}

#[test]
fn a_reload_that_fails_extends_what_serves_once_more() {
    let Some(node) = Node::new("a_reload_that_fails_extends_what_serves_once_more") else { return };
    let fault = node.host.path("fault");
    let mut command = node.command();
    command.env("CRYFTTEE_FAULT_FILE", &fault).args(["--trust-require", "never"]);
    let mut running = node.host.start(command);
    let new = node.host.path("cryfttee.new");
    fs::copy(&node.binary, &new).expect("copy");
    fs::OpenOptions::new().append(true).open(&new).expect("open").write_all(b"x").expect("append");
    let other = digest_of(&new);
    fs::rename(&new, &node.binary).expect("rename");
    fs::write(&fault, "exit-early").expect("write");
    running.signal(Signal::SIGHUP);
    running.wait_for("RELOADING=1");
    running.wait_for("READY=1");
    assert!(running.stderr().contains("Reload refused"), "{}", running.stderr());
    let digests: Vec<_> = node.log().entries.iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [node.digest, other, node.digest]);
    let (_, said) = verify(&node.document(), &[]);
    assert!(said.contains("ok     tpm-digest"), "{said}");
    // One that succeeds.
    fs::write(&fault, "").expect("write");
    running.signal(Signal::SIGHUP);
    running.wait_for("RELOADING=1");
    running.wait_for("READY=1");
    assert_eq!(node.log().entries.last().map(|entry| entry.digest), Some(other));
    let (_, said) = verify(&node.document(), &[]);
    assert!(said.contains("ok     tpm-digest"), "{said}");
}

#[test]
fn a_tpm_that_stands_still_during_a_reload_does_not_hold_up_the_watch() {
    let Some(node) = Node::new("a_tpm_that_stands_still_during_a_reload_does_not_hold_up_the_watch") else { return };
    let mut command = node.command();
    command.args(["--trust-require", "never"]).env("WATCHDOG_USEC", "60000000");
    let mut running = node.host.start(command);
    let swtpm = nix::unistd::Pid::from_raw(node.soft.child.id().try_into().expect("a pid"));
    kill(swtpm, Signal::SIGSTOP).expect("stop");
    let new = node.host.path("cryfttee.new");
    fs::copy(&node.binary, &new).expect("copy");
    fs::OpenOptions::new().append(true).open(&new).expect("open").write_all(b"x").expect("append");
    fs::rename(&new, &node.binary).expect("rename");
    running.signal(Signal::SIGHUP);
    running.wait_for("RELOADING=1");
    running.wait_for_line("[3/9] Accepted sha256:");
    for _ in 0..5 {
        running.wait_for("WATCHDOG=1");
    }
    assert_eq!(running.stderr().matches("Launched the sidecar").count(), 1, "it did not wait for the TPM");
    kill(swtpm, Signal::SIGCONT).expect("continue");
    running.wait_for("READY=1");
    assert_eq!(running.stderr().matches("Launched the sidecar").count(), 2);
    assert_eq!(node.log().replay(), node.soft.pcr());
}

#[test]
fn a_tpm_that_is_demanded_and_does_not_work_refuses_the_start_and_otherwise_is_told_once() {
    let host = Host::new();
    // None at all.
    let mut command = host.with_fault("");
    command.args(["--tpm-mode", "required"]);
    let ended = host.run(command);
    assert_eq!(ended.code, Some(i32::from(contract::exit::IO)), "{ended:?}");
    assert!(!ended.was_ready() && ended.refusal().contains("tpm.mode = \"required\""), "{ended:?}");
    assert!(!ended.stderr.contains("Launched"), "{ended:?}");
    let running = host.start(host.with_fault(""));
    assert!(!running.stderr().contains("TPM"), "{}", running.stderr());
    assert_eq!(running.stop().code, Some(0));

    // One that hangs up.
    let listener = UnixListener::bind(host.path("tpm.sock")).expect("listen");
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let mut command = host.with_fault("");
    command.args(["--tpm-mode", "required"]);
    let ended = host.run(command);
    assert_eq!(ended.code, Some(i32::from(contract::exit::IO)), "{ended:?}");
    assert!(ended.refusal().contains("extend a PCR of the TPM: talk to the TPM"), "{ended:?}");
    let mut running = host.start(host.with_fault(""));
    kill(running.sidecar(), Signal::SIGKILL).expect("kill");
    running.wait_for("READY=1");
    let told = running.stderr();
    assert_eq!(told.matches("is not used: talk to the TPM").count(), 1, "{told}");
    assert_eq!(running.stop().code, Some(0));
    let mut command = host.with_fault("");
    command.args(["--tpm-mode", "off"]);
    let running = host.start(command);
    assert!(!running.stderr().contains("TPM"), "{}", running.stderr());
}

#[test]
fn a_tpm_that_never_answers_or_never_accepts_is_not_waited_for_beyond_the_deadline() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("tpm.sock");
    let _listener = UnixListener::bind(&path).expect("listen");
    let began = Instant::now();
    let mut tpm = Tpm::open(&path, Duration::from_millis(200)).expect("the kernel queues it");
    assert!(matches!(tpm.pcr(13), Err(TpmError::Late("TPM2_PCR_Read"))));
    // Until the kernel queues no more.
    let filled = (0..10_000).map(|_| Tpm::open(&path, Duration::from_millis(50))).collect::<Result<Vec<_>, _>>();
    assert!(matches!(filled, Err(TpmError::Open { .. })));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(matches!(Tpm::open(folder.path(), Duration::from_secs(1)), Err(TpmError::NoDevice(_))));
}

#[test]
fn evidence_of_a_tpm_that_cannot_be_asked_any_more_is_an_error_that_says_what_to_do() {
    let Some(mut node) = Node::new("evidence_of_a_tpm_that_cannot_be_asked_any_more_is_an_error_that_says_what_to_do")
    else {
        return;
    };
    node.soft.child.kill().expect("kill");
    node.soft.child.wait().expect("wait");
    fs::remove_file(&node.soft.socket).expect("remove");
    let _running = node.start();
    // It never was used: that is said, and no quote is claimed.
    let output = node.evidence(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("without a quote of a TPM: there is none"), "{output:?}");
    assert_eq!(node.evidence(&["--tpm-mode", "required"]).status.code(), Some(74));
    // It was.
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("read").trim().to_owned();
    Log::new(boot_id, 13, UNTOUCHED).write(&node.host.path("tpm.json")).expect("write");
    let output = node.evidence(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("open the TPM") && said.contains("--tpm-mode off"), "{said}");
    assert!(node.evidence(&["--tpm-mode", "off"]).status.success());
}
