use super::*;

const LIMIT: usize = 64;

/// What comes of an answer that arrives in these pieces, and then the end of the connection.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Reply>, String> {
    let (mut reading, mut input) = (Reading::new(LIMIT), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        // What is behind the answer belongs to nobody, and is seen when it is there in time.
        if let Some(reply) = reading.feed(&mut input).map_err(|error| error.to_string())? {
            return Ok(Some(reply));
        }
    }
    Ok(reading.end())
}

/// The outcome must not depend on how the bytes arrive: whole, cut in two anywhere, one by one.
fn however(answer: &str) -> Result<Option<Reply>, String> {
    let bytes = answer.as_bytes();
    let whole = read([bytes]);
    for at in 0..=bytes.len() {
        assert_eq!(read([&bytes[..at], &bytes[at..]]), whole, "{answer:?} cut at {at}");
    }
    assert_eq!(read(bytes.chunks(1)), whole, "{answer:?} byte by byte");
    whole
}

fn reply(status: u16, body: &str, reusable: bool) -> Result<Option<Reply>, String> {
    Ok(Some(Reply { status, body: body.into(), reusable }))
}

#[test]
fn an_answer_is_read_however_it_is_cut_up() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", reply(200, "OK", true)),
        ("HTTP/1.1 201\r\ncontent-length:0\r\n\r\n", reply(201, "", true)),
        ("HTTP/1.1 204 No\r\n\r\n", reply(204, "", true)),
        ("HTTP/1.1 412 Slashing\r\nContent-Length: 3\r\n\r\nno\n", reply(412, "no\n", true)),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\na\r\n0b;x=y\r\nbcdefghijkl\r\n0\r\n\r\n",
            reply(200, "abcdefghijkl", true),
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", reply(200, "", true)),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", reply(200, "until the end", false)),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\n1", reply(200, "1", false)),
        ("HTTP/1.1 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\n1", reply(200, "1", true)),
        ("HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 1\r\n\r\n1", reply(200, "1", false)),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1",
            reply(200, "1", true),
        ),
    ] {
        assert_eq!(however(answer), expected, "{answer:?}");
    }
}

#[test]
fn an_answer_that_ends_early_is_none() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n1",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n1",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n",
    ] {
        assert_eq!(however(answer), Ok(None), "{answer:?}");
    }
}

#[test]
fn what_is_no_answer_or_says_two_things_is_nonsense() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nname : x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n1",
        "HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\n1",
        "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n1",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n1",
        "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n1",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n1",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n12\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\ntrailer: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n11111111111111111\r\n",
    ] {
        assert_eq!(however(answer), Err(NOT_HTTP.to_string()), "{answer:?}");
    }
}

#[test]
fn a_body_over_its_limit_is_refused_before_it_is_read_and_one_at_its_limit_is_not() {
    let too_long = Err(SignerError::TooLong(LIMIT).to_string());
    let head = "HTTP/1.1 200 OK\r\n";
    let body = "x".repeat(LIMIT);
    assert_eq!(however(&format!("{head}content-length: 64\r\n\r\n{body}")), reply(200, &body, true));
    assert_eq!(however(&format!("{head}content-length: 65\r\n\r\n")), too_long);
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n40\r\n{body}\r\n");
    assert_eq!(however(&format!("{chunked}0\r\n\r\n")), reply(200, &body, true));
    assert_eq!(however(&format!("{chunked}1\r\n")), too_long);
    assert_eq!(however(&format!("{head}transfer-encoding: chunked\r\n\r\n41\r\n")), too_long);
    assert_eq!(however(&format!("{head}\r\n{body}")), reply(200, &body, false));
    assert_eq!(however(&format!("{head}\r\n{body}x")), too_long);
}

#[test]
fn heads_and_lines_that_do_not_end_are_refused() {
    let pieces = |start: &str, more: &str, count: usize| {
        let (mut reading, mut input) = (Reading::new(LIMIT), start.as_bytes().to_vec());
        for _ in 0..count {
            input.extend_from_slice(more.as_bytes());
            match reading.feed(&mut input) {
                Ok(reply) => assert_eq!(reply, None),
                Err(error) => return error.to_string(),
            }
            assert!(input.len() <= MOST_HEAD, "what is kept is bounded");
        }
        "it went on".to_owned()
    };
    let nonsense = NOT_HTTP.to_string();
    assert_eq!(pieces("HTTP/1.1 200 OK\r\nx: ", &"y".repeat(1000), 20), nonsense);
    assert_eq!(pieces("", "HTTP/1.1 100 Continue\r\n\r\n", 10_000), nonsense);
    assert_eq!(pieces("HTTP/1.1 200 OK\r\n", "x: y\r\n", 100), nonsense);
    assert_eq!(pieces("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", "extension", 100), nonsense);
}

#[test]
fn a_long_refusal_is_cut_and_its_connection_not_used_again() {
    let text = "n".repeat(10_000);
    for framing in ["content-length: 10000\r\n\r\n", "transfer-encoding: chunked\r\n\r\n2710\r\n", "\r\n"] {
        let answer = format!("HTTP/1.1 500 No\r\n{framing}{text}");
        assert_eq!(read([answer.as_bytes()]), reply(500, &text[..ERROR_TEXT], false), "{framing}");
    }
    let exact = format!("HTTP/1.1 500 No\r\ncontent-length: 4096\r\n\r\n{}", &text[..4096]);
    assert_eq!(read([exact.as_bytes()]), reply(500, &text[..ERROR_TEXT], true));
}

#[test]
fn what_is_there_of_a_refusal_is_enough_and_what_is_there_of_a_signature_is_not() {
    for (answer, expected) in [
        ("HTTP/1.1 412 No\r\ncontent-length: 10\r\n\r\nslash", Some("slash")),
        ("HTTP/1.1 412 No\r\ncontent-length: 10\r\n", None),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0x00", None),
    ] {
        let (mut reading, mut input) = (Reading::new(LIMIT), answer.as_bytes().to_vec());
        assert_eq!(reading.feed(&mut input).ok(), Some(None));
        let refusal = reading.refusal();
        assert_eq!(
            refusal.map(|reply| (String::from_utf8(reply.body).expect("text"), reply.reusable)),
            expected.map(|text| (text.to_owned(), false)),
            "{answer}"
        );
    }
}

#[test]
fn what_comes_behind_an_answer_is_nobodys_and_ends_the_connection() {
    for surplus in ["\r\n", "x", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2"] {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1{surplus}");
        assert_eq!(read([answer.as_bytes()]), reply(200, "1", false), "{surplus:?}");
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n{surplus}");
        assert_eq!(read([answer.as_bytes()]), reply(200, "1", false), "{surplus:?}");
    }
}
