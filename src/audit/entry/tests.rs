use super::*;

type Field = (String, Option<Vec<u8>>);

fn read(input: &[u8]) -> Result<Vec<Vec<Field>>, ReadError> {
    // A small buffer, so that its edges fall into every place.
    let mut reader = Reader::new(io::BufReader::with_capacity(7, input));
    let mut all = Vec::new();
    while let Some(entry) = reader.next()? {
        let own = |(name, value): (&[u8], Option<&[u8]>)| {
            (String::from_utf8_lossy(name).into_owned(), value.map(<[u8]>::to_vec))
        };
        all.push(entry.fields().map(own).collect());
    }
    Ok(all)
}

fn field(name: &str, value: &[u8]) -> Field {
    (name.to_owned(), Some(value.to_vec()))
}

#[test]
fn export_with_binary_values_and_values_that_nobody_asked_for_is_read() {
    let input = b"__CURSOR=s=1\nMESSAGE\n\x05\0\0\0\0\0\0\0a\n\n=b\nFOREIGN\n\x02\0\0\0\0\0\0\0\n\n\n_UID=7\n\n\
                  MESSAGE=second\nPRIORITY=\n\n";
    let expected = vec![
        vec![field("__CURSOR", b"s=1"), field("MESSAGE", b"a\n\n=b"), field("_UID", b"7")],
        vec![field("MESSAGE", b"second"), field("PRIORITY", b"")],
    ];
    assert_eq!(read(input).expect("export"), expected);
}

#[test]
fn json_with_arrays_nulls_and_repeated_fields_is_read() {
    let input = br#"{"MESSAGE":"\u00e4\n\"x\"","FOREIGN":{"a":[1]},"_UID":"7"}
{"MESSAGE":[97,10,255],"CRYFTTEE_A":null,"CRYFTTEE_B":["1",[50],null],"CRYFTTEE_C":[]}
"#;
    let expected = vec![
        vec![field("MESSAGE", "ä\n\"x\"".as_bytes()), field("_UID", b"7")],
        vec![
            field("MESSAGE", b"a\n\xff"),
            ("CRYFTTEE_A".to_owned(), None),
            field("CRYFTTEE_B", b"1"),
            field("CRYFTTEE_B", b"2"),
            ("CRYFTTEE_B".to_owned(), None),
            field("CRYFTTEE_C", b""),
        ],
    ];
    assert_eq!(read(input).expect("json"), expected);
}

#[test]
fn what_is_repeated_has_no_value_that_could_be_taken_for_the_one() {
    let mut reader = Reader::new(&b"PRIORITY=5\nPRIORITY=2\nMESSAGE=m\n\n"[..]);
    let entry = reader.next().expect("export").expect("one");
    assert_eq!((entry.get("PRIORITY"), entry.has("PRIORITY"), entry.text("MESSAGE")), (None, true, Some("m")));
}

#[test]
fn an_entry_that_is_cut_short_is_no_entry() {
    for input in [
        &b"MESSAGE=x\n"[..],
        b"MESSAGE=x",
        b"MESSAGE\n\x09\0\0\0\0\0\0\0short\n\n",
        b"MESSAGE\n\x09\0\0",
        br#"{"MESSAGE":"x"#,
    ] {
        let error = read(input).expect_err("cut");
        assert!(matches!(error, ReadError::CutShort { number: 1 }), "{error} {input:?}");
    }
}

#[test]
fn what_is_no_journal_is_refused_by_name() {
    for input in [&b"Nov 25 19:12:01 host kernel: hello\n"[..], b"\x7fELF\x02\n", b"{\"MESSAGE\":1.5}\n", b"[]\n"] {
        let error = read(input).expect_err("no journal");
        assert!(matches!(error, ReadError::NotAJournal { number: 1, .. }), "{error} {input:?}");
    }
    assert!(read(b"\n\n").expect("nothing").is_empty());
}

#[test]
fn large_values_are_passed_over_and_cost_no_memory() {
    let mut input = b"FOREIGN=".to_vec();
    input.extend(vec![b'x'; 3 * LONGEST_VALUE]);
    input.extend(b"\nMESSAGE=");
    input.extend(vec![b'y'; 3 * LONGEST_VALUE]);
    input.extend(b"\n_UID=7\n\n{");
    let mut reader = Reader::new(&input[..]);
    let entry = reader.next().expect("export").expect("one");
    assert_eq!((entry.get("MESSAGE"), entry.has("MESSAGE"), entry.number("_UID")), (None, true, Some(7)));

    let mut input = b"{\"FOREIGN\":\"".to_vec();
    input.extend(vec![b'x'; LONGEST_LINE]);
    input.extend(b"\"}\n{\"_UID\":\"7\"}\n");
    let mut reader = Reader::new(&input[..]);
    assert_eq!(reader.next().expect("json").expect("the second").number("_UID"), Some(7));
    assert_eq!((reader.passed_over(), reader.count()), (1, 2));
}

#[test]
fn no_input_of_a_thousand_broken_ones_is_more_than_an_error() {
    let good = b"__CURSOR=s=1\nMESSAGE\n\x05\0\0\0\0\0\0\0a\n\n=b\n_UID=7\n\nMESSAGE=second\nPRIORITY=2\n\n";
    let mut seed = 1_u64;
    for _ in 0..10_000 {
        let mut input = good.to_vec();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % input.len();
            input[at] = (seed >> 20) as u8;
        }
        drop(read(&input));
    }
}
