//! Frames by table, and in pieces of every size.

use super::*;

/// A client's frame: first byte, mask, payload.
fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(0x80 | u8::try_from(length).expect("short")),
        length @ ..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).expect("fits").to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

const MASK: [u8; 4] = [0x11, 0xa2, 0x3c, 0xff];

/// What is read of these bytes when they come in pieces of `size`.
fn read(bytes: &[u8], size: usize) -> (Vec<Message>, Option<Fault>) {
    let mut decoder = Decoder::new(100_000);
    let mut messages = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(fault) => return (messages, Some(fault)),
            }
        }
    }
    (messages, None)
}

#[test]
fn messages_are_the_same_in_whatever_pieces_they_come() {
    let mut bytes = frame(0x81, MASK, "Praça da Sé".as_bytes());
    bytes.extend(frame(0x82, MASK, &[0xff; 300]));
    bytes.extend(frame(0x01, MASK, &"é".as_bytes()[..1]));
    bytes.extend(frame(0x89, MASK, b"between"));
    bytes.extend(frame(0x00, [0; 4], &"é".as_bytes()[1..]));
    bytes.extend(frame(0x80, MASK, b""));
    bytes.extend(frame(0x8a, MASK, b"nobody asked"));
    bytes.extend(frame(0x81, MASK, "x".repeat(70_000).as_bytes()));
    bytes.extend(frame(0x88, MASK, &[0x03, 0xe8, b'b', b'y', b'e']));
    let expected = [
        Message::Text("Praça da Sé".into()),
        Message::Binary(vec![0xff; 300]),
        Message::Ping(b"between".to_vec()),
        Message::Text("é".into()),
        Message::Pong,
        Message::Text("x".repeat(70_000)),
        Message::Close(Some(1000)),
    ];
    for size in [1, 2, 3, 5, 7, 13, 100, 4096, bytes.len()] {
        let (messages, fault) = read(&bytes, size);
        assert_eq!(fault, None, "{size}");
        assert!(messages == expected, "in pieces of {size}");
    }
}

#[test]
fn what_breaks_the_rules_ends_the_reading_at_the_byte_that_does() {
    let bad_after_ok = [b"ok".as_slice(), &[0xed, 0xa0]].concat();
    let announced =
        |first, length: u64| [&[first, 0xff][..], &length.to_be_bytes(), &MASK].concat();
    let table = [
        ("a reserved bit", frame(0xc1, MASK, b"a"), 2, Fault::Protocol),
        ("no mask", vec![0x81, 0x01, b'a'], 2, Fault::Protocol),
        ("an opcode of nobody", frame(0x83, MASK, b""), 2, Fault::Protocol),
        ("a ping in pieces", frame(0x09, MASK, b""), 2, Fault::Protocol),
        ("a long ping", frame(0x89, MASK, &[0; 126]), 2, Fault::Protocol),
        ("a continuation of nothing", frame(0x80, MASK, b""), 2, Fault::Protocol),
        ("a negative length", announced(0x81, 1 << 63), 14, Fault::Protocol),
        ("more than may be", announced(0x82, 100_001), 14, Fault::TooLarge),
        ("a surrogate", frame(0x01, MASK, &bad_after_ok), 10, Fault::InvalidUtf8),
        ("half a character", frame(0x81, MASK, &[0xc3]), 7, Fault::InvalidUtf8),
        ("a close of one byte", frame(0x88, MASK, &[3]), 7, Fault::Protocol),
        (
            "a code that is never sent",
            frame(0x88, MASK, &1005_u16.to_be_bytes()),
            8,
            Fault::Protocol,
        ),
        ("a reason in no UTF-8", frame(0x88, MASK, &[3, 232, 0xff]), 9, Fault::InvalidUtf8),
    ];
    for (what, bytes, at, expected) in table {
        let (_, before) = read(&bytes[..at - 1], 1);
        assert_eq!(before, None, "{what}: too early");
        assert_eq!(read(&bytes[..at], 1), (vec![], Some(expected)), "{what}");
        assert_eq!(read(&bytes, bytes.len()), (vec![], Some(expected)), "{what}, at once");
    }
    let begun = [frame(0x01, MASK, b"a"), frame(0x81, MASK, b"b")].concat();
    assert_eq!(read(&begun, 1).1, Some(Fault::Protocol), "a message within a message");
}

#[test]
fn pieces_count_together_and_cost_nothing_when_empty() {
    let mut bytes = frame(0x02, MASK, &[0; 60_000]);
    bytes.extend(frame(0x00, MASK, b"").repeat(1000));
    let (messages, fault) = read(&bytes, 4096);
    assert_eq!((messages.len(), fault), (0, None));
    bytes.extend(&frame(0x80, MASK, &[0; 40_001])[..8]);
    assert_eq!(read(&bytes, 4096).1, Some(Fault::TooLarge), "by its header alone");
}

#[test]
fn frames_are_written_with_the_shortest_length() {
    let table = [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)];
    for (length, head) in table {
        let mut bytes = BytesMut::new();
        encode(Op::Text, &vec![b'x'; length], &mut bytes);
        assert_eq!((bytes[0], bytes.len()), (0x81, head + length), "{length}");
    }
    let mut bytes = BytesMut::new();
    encode_close(Some(4201), "slow", &mut bytes);
    encode_close(None, "unsaid", &mut bytes);
    assert_eq!(bytes[..], [0x88, 6, 0x10, 0x69, b's', b'l', b'o', b'w', 0x88, 0]);
}
