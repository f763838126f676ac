//! What is refused, and that sort(1) agrees wherever it has a say.

use super::gnu::gnu_sort;
use crate::mergesort::lines::{Flags, Order};

fn keyed(key: &str) -> Flags {
    Flags { key: vec![key.to_owned()], ..Flags::default() }
}

fn separated(separator: &str) -> Flags {
    Flags { separator: Some(separator.to_owned()), ..Flags::default() }
}

fn message(flags: &Flags) -> String {
    Order::parse(flags).unwrap_err().message
}

#[test]
fn what_sort_refuses_is_refused() {
    for key in ["", "0", "x", "1.", "1.0", "1.x", "1,", "1,0", "1,x", "1,2.", "1,2x", "1 2", "1,,2"]
    {
        assert!(gnu_sort(&keyed(key), b"").is_err(), "sort(1) refuses {key:?}");
        let message = message(&keyed(key));
        assert!(message.starts_with(&format!("--key '{key}': ")), "{message}");
    }
    for separator in ["", "ab", "\u{e9}"] {
        assert!(gnu_sort(&separated(separator), b"").is_err(), "sort(1) refuses {separator:?}");
        assert!(message(&separated(separator)).starts_with("--separator '"));
    }
}

#[test]
fn what_is_taken_is_taken_by_sort() {
    for key in ["1", "1.1", "1,1.0", "2n,3rb", "1nrbnrb", "007", "99999999999999999999999.2,1"] {
        assert!(gnu_sort(&keyed(key), b"").is_ok(), "sort(1) takes {key:?}");
        assert!(Order::parse(&keyed(key)).is_ok(), "{key}");
    }
    for separator in [",", "\\", "\\0", "\n", "n"] {
        assert!(gnu_sort(&separated(separator), b"").is_ok(), "sort(1) takes {separator:?}");
        assert!(Order::parse(&separated(separator)).is_ok(), "{separator:?}");
    }
}

#[test]
fn other_options_are_named_with_their_meaning() {
    for (letter, meaning) in
        [("d", "dictionary"), ("f", "case"), ("g", "floating"), ("h", "sizes"), ("i", "printable")]
    {
        let message = message(&keyed(&format!("2{letter}")));
        assert!(message.contains(&format!("option '{letter}'")), "{message}");
        assert!(message.contains(meaning) && message.contains("sort(1)"), "{message}");
    }
    for letter in ["M", "R", "V"] {
        assert!(message(&keyed(&format!("1,2n{letter}"))).contains("not offered"));
    }
    assert!(message(&keyed("1q")).contains("no option 'q'"));
}

#[test]
fn an_order_survives_the_record() {
    let flags = Flags { numeric: true, ..keyed("2.3b,4r") };
    let order = Order::parse(&flags).unwrap();
    let text = serde_json::to_string(&order).unwrap();
    assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
    let deck: Flags = serde_json::from_str(r#"{"key": ["2.3b,4r"], "numeric": true}"#).unwrap();
    assert_eq!(deck, flags);
}
