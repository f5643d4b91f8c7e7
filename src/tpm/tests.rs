//! The bytes here are of programs that are not ours: commands that tpm2-tools 5.4 sent (`tpm2_pcrextend 13:sha256=…`,
//! `tpm2_pcrread`, `tpm2_createprimary`, `tpm2_quote`), and answers that swtpm 0.7.1 gave to them, recorded in between.

use super::command::{Answer, Command, Handle};
use super::quote::{NotQuoted, Quote, verify};
use super::*;

/// What `tpm2_readpublic -f tss` wrote of the key that `tpm2_createprimary` made.
const KEY: &str = "\
    00580023000b00050472000000100018000b000300100020e67ad51facaffec547befe1fc3d4106e36c683c1c7ddf6ce\
    800277f4e70db8d00020b54cb186f27c3527feb6305a142785f01c5c8a945b5d280b9e7513cddf6c3669";
/// What `tpm2_quote -m` wrote, for the qualifying data [`hello`].
const QUOTE: &str = "\
    ff54434780180022000b3046c5604fe3fd95642e99920950531a8414a5c33eb3f0aef2a57ef5264627bb00202cf24dba\
    5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824000000000000b22e000000010000000001201910\
    230016363600000001000b0300200000204569a1b88c199eae704f707e00f30bcbf6182e9ef2785321e8b0d050e38647\
    8e";
/// What `tpm2_quote -s` wrote.
const SIGNATURE: &str = "\
    0018000b00203fc79249147eca8f3376f488468b676ee05b66e1b3525bc3e0353269c5c9ad6d002041e7b2d6a7692df0\
    af0f00361283981728f2999cdcf58f591082bba1af7a2e4a";
/// The answer of swtpm to `TPM2_CreatePrimary` with the empty password.
const CREATED: &str = "\
    80020000013800000000800000000000012100580023000b00050472000000100018000b000300100020e67ad51facaf\
    fec547befe1fc3d4106e36c683c1c7ddf6ce800277f4e70db8d00020b54cb186f27c3527feb6305a142785f01c5c8a94\
    5b5d280b9e7513cddf6c36690037000000000020e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b\
    7852b85501001000044000000b00044000000b0000002028d026fafd749106743e27c4280551585e5d17668eb521835e\
    d60127effc05d480214000000b00400608f5aaf412a653d497ceeb2a9c9f975f91fa3613c24a178f2938ef238609aa13\
    89fb354be561b2a627d6bd76c9d54ecb106b183bd9fc25bc3ae9f2725508380022000b5eef8b4b60e4757ced3cb9d1cc\
    228b6f0e6c686748a87dd6309ed5fa51270fb70000010000";
/// The answer of swtpm to `TPM2_Quote` with the empty password.
const QUOTED: &str = "\
    8002000000ee00000000000000db0091ff54434780180022000b3046c5604fe3fd95642e99920950531a8414a5c33eb3\
    f0aef2a57ef5264627bb00202cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982400000000\
    0000b2b6000000010000000001201910230016363600000001000b0300200000204569a1b88c199eae704f707e00f30b\
    cbf6182e9ef2785321e8b0d050e386478e0018000b00201208f58b8c642aa41b2e168e97450fa214f54b32a1887b7493\
    737f53acb0c2120020ff58955bc9c192cdf14e030bfc8a52f2e2001b22d883919801914493c722b3fe0000010000";

/// The SHA-256 of `hello`, which was extended and was the qualifying data.
fn hello() -> Digest {
    Digest::new(Sha256::digest(b"hello").into())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).expect("a digit") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn digest(hex: &str) -> Digest {
    Digest::parse_lenient(hex).expect("a digest")
}

const READ: Command = Command::PcrRead { pcr: 13 };

#[test]
fn commands_are_the_bytes_that_another_program_sends() {
    let extend = Command::PcrExtend { pcr: 13, digest: hello() };
    let flush = Command::FlushContext { handle: Handle(0x0200_0000) };
    for (command, sent) in [
        (
            extend,
            "800200000041000001820000000d0000000940000009000000000000000001000b2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        ),
        (READ, "8001000000140000017e00000001000b03002000"),
        (flush, "80010000000e0000016502000000"),
    ] {
        assert_eq!(command.encode(), bytes(sent), "{}", command.name());
    }
    // What tpm2_createprimary sent after its session: no password, this template, no data, no PCRs.
    let template = bytes(
        "0004000000000018\
        0023000b00050472000000100018000b000300100000000000\
        0000000000",
    );
    let sent = Command::CreatePrimary.encode();
    assert!(sent.ends_with(&template[..]), "{sent:02x?}");
    assert_eq!(sent.len(), u32::from_be_bytes(sent[2..6].try_into().expect("four bytes")) as usize);
    // What tpm2_quote sent after its session, with the scheme of the key in place of a named one.
    let quote = Command::Quote { handle: Handle(0x8000_0000), pcr: 13, qualifying: hello() }.encode();
    let parameters = "00202cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824001000000001000b03002000";
    assert!(quote.ends_with(&bytes(parameters)), "{quote:02x?}");
}

#[test]
fn answers_of_a_tpm_are_understood() {
    let read = |hex| Answer::read(&READ, bytes(hex)).expect("a frame");
    let answer = read(
        "80010000003e000000000000001500000001000b030020000000000100209851312028952521510e8eaab5be94e7dc24b5fc292b2e9781173cf11ffa9878",
    );
    let value = digest("9851312028952521510e8eaab5be94e7dc24b5fc292b2e9781173cf11ffa9878");
    assert_eq!(answer.pcr(13).expect("a value"), value);
    assert!(matches!(answer.pcr(12), Err(TpmError::Malformed(_))), "the value of another PCR was taken");
    assert_eq!(extended(UNTOUCHED, hello()), value, "an extend is computed in another way");
    let extend = Command::PcrExtend { pcr: 13, digest: hello() };
    Answer::read(&extend, bytes("80020000001300000000000000000000010000")).expect("a frame").nothing().expect("done");
    let (handle, key) =
        Answer::read(&Command::CreatePrimary, bytes(CREATED)).and_then(|answer| answer.created()).expect("a key");
    assert_eq!((handle, key), (Handle(0x8000_0000), bytes(KEY)));
    let quote = Command::Quote { handle, pcr: 13, qualifying: hello() };
    let (attest, signature) = Answer::read(&quote, bytes(QUOTED)).and_then(Answer::quoted).expect("a quote");
    let key = Key::read(&bytes(KEY)).expect("a key");
    verify(&key, &attest, &signature, hello()).expect("it is good");
}

#[test]
fn a_refusal_is_told_with_what_it_means() {
    for (answer, told) in [
        ("80010000000a00000907", "code 0x907: this PCR is not for programs"),
        ("80010000000a00000902", "code 0x902: it has no room for another key"),
        ("80010000000a000009a2", "code 0x9a2: the hierarchy has a password"),
        ("80010000000a000001cb", "code 0x1cb"),
    ] {
        let refusal = Answer::read(&READ, bytes(answer)).expect("a frame").refusal().expect("a refusal");
        assert!(refusal.to_string().starts_with(told) && !refusal.may_pass(), "{refusal}");
    }
    let busy = Answer::read(&READ, bytes("80010000000a00000922")).expect("a frame").refusal();
    assert!(busy.expect("a refusal").may_pass());
    // A bank that is not there is answered with nothing.
    let empty = Answer::read(&READ, bytes("80010000001c000000000000001500000001000b0300000000000000"));
    assert!(matches!(empty.expect("a frame").pcr(13), Err(TpmError::NoBank)));
}

#[test]
fn an_answer_that_is_cut_or_changed_in_length_is_refused_and_nothing_is_read_beyond_it() {
    let answers = [
        (
            READ,
            "80010000003e000000000000001500000001000b030020000000000100209851312028952521510e8eaab5be94e7dc24b5fc292b2e9781173cf11ffa9878",
        ),
        (Command::PcrExtend { pcr: 13, digest: hello() }, "80020000001300000000000000000000010000"),
        (Command::CreatePrimary, CREATED),
        (Command::Quote { handle: Handle(1), pcr: 13, qualifying: hello() }, QUOTED),
    ];
    let parsed = |command: &Command, bytes: Vec<u8>| -> Result<(), TpmError> {
        let answer = Answer::read(command, bytes)?;
        match command {
            Command::PcrRead { pcr } => answer.pcr(*pcr).map(drop),
            Command::CreatePrimary => answer.created().map(drop),
            Command::Quote { .. } => answer.quoted().map(drop),
            _ => answer.nothing(),
        }
    };
    for (command, good) in &answers {
        let good = bytes(good);
        parsed(command, good.clone()).expect("as recorded");
        for length in 0..good.len() {
            // As it comes, and with a header that owns up to it.
            let mut cut = good[..length].to_vec();
            assert!(parsed(command, cut.clone()).is_err(), "{} cut at {length}", command.name());
            if length >= 10 {
                cut[2..6].copy_from_slice(&(length as u32).to_be_bytes());
                assert!(parsed(command, cut).is_err(), "{} shortened to {length}", command.name());
            }
        }
        let mut longer = [&good[..], &[0]].concat();
        let length = longer.len() as u32;
        longer[2..6].copy_from_slice(&length.to_be_bytes());
        assert!(parsed(command, longer).is_err(), "{} with a byte more", command.name());
        // Any length field, whatever is in it: an error or a value, never a panic.
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = good.clone();
                changed[at] = value;
                let _ = parsed(command, changed);
            }
        }
    }
}

#[test]
fn a_quote_of_tpm2_tools_is_verified_and_says_what_it_is_of() {
    let key = Key::read(&bytes(KEY)).expect("a key");
    let quote = verify(&key, &bytes(QUOTE), &bytes(SIGNATURE), hello()).expect("it is good");
    let value = digest("5c52980c99ec28269be96cb022b3ec4dd2617bb48ee7568a006b1eed9bcc2c5a");
    assert!(quote.is_of(13, value) && !quote.is_of(12, value) && !quote.is_of(13, UNTOUCHED), "{quote:?}");
    assert_eq!((&quote.pcrs[..], quote.resets), (&[13][..], 1));
    // hello was extended twice.
    assert_eq!(extended(extended(UNTOUCHED, hello()), hello()), value);
}

#[test]
fn every_bit_of_a_quote_counts() {
    let (key, attest, signature) = (bytes(KEY), bytes(QUOTE), bytes(SIGNATURE));
    let holds = |key: &[u8], attest: &[u8], signature: &[u8]| {
        Key::read(key).is_ok_and(|key| verify(&key, attest, signature, hello()).is_ok())
    };
    assert!(holds(&key, &attest, &signature));
    for (which, length) in [key.len(), attest.len(), signature.len()].into_iter().enumerate() {
        for bit in 0..length * 8 {
            let mut parts = [key.clone(), attest.clone(), signature.clone()];
            parts[which][bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&parts[0], &parts[1], &parts[2]), "bit {bit} of part {which}");
        }
    }
    let verdict = |attest: &[u8], qualifying| {
        verify(&Key::read(&key).expect("a key"), attest, &signature, qualifying).expect_err("it is not good")
    };
    assert_eq!(verdict(&attest, UNTOUCHED), NotQuoted::OtherStatement);
    let mut other = attest.clone();
    other[0] = 0;
    assert_eq!(verdict(&other, hello()), NotQuoted::NotGenerated);
    // TPM_ST_ATTEST_CERTIFY.
    other = attest.clone();
    other[5] = 0x17;
    assert_eq!(verdict(&other, hello()), NotQuoted::NotAQuote);
    assert_eq!(verdict(&attest[..90], hello()), NotQuoted::Malformed);
    // The selection: a count, a hash, a length and three octets; after it the digest.
    let at = attest.len() - 34 - 10;
    other = attest.clone();
    other[at + 8] = 0x30;
    let two = Quote::read(&other).expect("a quote");
    let value = digest("5c52980c99ec28269be96cb022b3ec4dd2617bb48ee7568a006b1eed9bcc2c5a");
    assert!(two.pcrs == [12, 13] && !two.is_of(13, value), "{two:?}");
    // Another bank.
    other[at + 5] = 0x04;
    assert_eq!(Quote::read(&other), Err(NotQuoted::Malformed));
}

#[test]
fn a_key_that_would_sign_anything_is_none() {
    // Without "restricted", and one that may leave the TPM.
    for (at, value) in [(7, 0x04), (9, 0x70)] {
        let mut other = bytes(KEY);
        other[at] = value;
        assert_eq!(Key::read(&other), Err(NotAKey));
    }
}

/// A TPM that gives these answers, and what it was asked.
fn scripted(answers: &[&str]) -> (tempfile::TempDir, std::thread::JoinHandle<Vec<Vec<u8>>>) {
    use std::io::{Read as _, Write as _};
    let folder = tempfile::tempdir().expect("folder");
    let listener = std::os::unix::net::UnixListener::bind(folder.path().join("tpm")).expect("listen");
    let answers: Vec<_> = answers.iter().map(|answer| bytes(answer)).collect();
    let tpm = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let mut asked = Vec::new();
        for answer in answers {
            let mut command = [0; 256];
            let count = stream.read(&mut command).expect("read");
            asked.push(command[..count].to_vec());
            // In two parts, as a stream may give it.
            let (first, rest) = answer.split_at(answer.len() / 2);
            stream.write_all(first).expect("write");
            std::thread::sleep(Duration::from_millis(5));
            stream.write_all(rest).expect("write");
        }
        asked
    });
    (folder, tpm)
}

#[test]
fn a_key_is_taken_out_again_also_where_the_tpm_does_not_quote_with_it() {
    let done = "80010000000a00000000";
    for (answer, is_malformed) in
        [("80010000000a00000922", false), ("80010000000a000001d5", false), ("80020000000a00000000", true)]
    {
        // A TPM that is busy is asked again.
        let answers =
            if answer.ends_with("0922") { vec![CREATED, answer, QUOTED, done] } else { vec![CREATED, answer, done] };
        let (folder, tpm) = scripted(&answers);
        let mut visit = Tpm::open(&folder.path().join("tpm"), AT_MOST).expect("open");
        let quoted = visit.quote(13, hello());
        let asked = tpm.join().expect("no panic");
        assert_eq!(asked.last(), Some(&bytes("80010000000e0000016580000000")), "it was not taken out");
        match quoted {
            Ok(quoted) => assert_eq!((answers.len(), quoted.key), (4, bytes(KEY))),
            Err(error) => assert_eq!(matches!(error, TpmError::Malformed(_)), is_malformed, "{error:?}"),
        }
    }
}

#[test]
fn an_answer_without_end_or_of_absurd_length_is_an_error() {
    for answer in ["8001ffffffff00000000", "80010000000900000000", "80010000003e00000000"] {
        let (folder, tpm) = scripted(&[answer]);
        let mut visit = Tpm::open(&folder.path().join("tpm"), AT_MOST).expect("open");
        assert!(matches!(visit.pcr(13), Err(TpmError::Exchange(_))), "{answer}");
        tpm.join().expect("no panic");
    }
}
