use super::*;
use crate::ids::{Seq, ShortId};
use crate::time::UnixSec;
use crate::wire::{Notice, NoticeEvent};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shelf {
    name: String,
    #[serde(default)]
    height: Option<f64>,
    books: Vec<Book>,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Book {
    Lost,
    Lent(String),
    There { pages: u16, read: bool },
    Pair(i8, (u64, char)),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    one: u128,
}

fn reason<T: DeserializeOwned>(text: &str) -> String {
    match from_text::<T>(text) {
        Ok(_) => format!("read {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_type_is_read_as_serde_derives_it() {
    let text = r#"{"name":"\u00e9 \"x\"","height":-1.5e3,"more":{"a":[1]},"books":["Lost",{"Lent":"to me"},
        {"There":{"pages":65535,"read":true}},{"Pair":[-128,[18446744073709551615,"é"]]}]}"#;
    let books = vec![
        Book::Lost,
        Book::Lent("to me".into()),
        Book::There {
            pages: 65_535,
            read: true,
        },
        Book::Pair(-128, (u64::MAX, 'é')),
    ];
    let shelf = Shelf {
        name: "é \"x\"".into(),
        height: Some(-1_500.0),
        books,
    };
    assert_eq!(from_text::<Shelf>(text), Ok(shelf));
    assert_eq!(from_text::<Strict>(r#"{"one":7}"#), Ok(Strict { one: 7 }));
    assert_eq!(from_bytes::<Option<Seq>>(b" null "), Ok(None));
    assert_eq!(from_value::<(Seq, ())>(&json!([3, null])), Ok((Seq(3), ())));
}

#[test]
fn an_error_says_where_it_is_and_what_belongs_there() {
    let wrong = r#"{"name":"x","books":[{"There":{"pages":70000,"read":true}}]}"#;
    assert_eq!(reason::<Shelf>(wrong), "books.pages: expected u16");
    assert_eq!(
        reason::<Shelf>(r#"{"name":1,"books":[]}"#),
        "name: expected a text"
    );
    assert_eq!(reason::<Shelf>(r#"{"name":""}"#), "missing field `books`");
    assert_eq!(
        reason::<Strict>(r#"{"one":1,"two":2}"#),
        "unknown field `two`, expected `one`"
    );
    assert_eq!(reason::<Strict>(r#"{"one":-1}"#), "one: expected a whole number");
    assert_eq!(reason::<Strict>("[1]"), "expected an object");
    assert_eq!(
        reason::<Book>(r#""Burnt""#),
        "unknown variant `Burnt`, expected one of `Lost`, `Lent`, `There`, `Pair`"
    );
    assert_eq!(
        reason::<Strict>("{"),
        "EOF while parsing an object at line 1 column 1"
    );
    assert_eq!(
        from_bytes::<Strict>(b"\"\xff\"").unwrap_err().to_string(),
        "not UTF-8"
    );
}

#[test]
fn a_value_of_another_shape_is_refused() {
    for text in [
        r#"{"Lost":1}"#,
        r#""Lent""#,
        r#"{"Lent":"","Lost":null}"#,
        "{}",
        "3",
    ] {
        assert!(from_text::<Book>(text).is_err(), "{text}");
    }
    for text in ["[1,2,3]", "[1]", "[1,2.5]", r#"["1",2]"#, "{}", "null"] {
        assert!(from_text::<(u8, i64)>(text).is_err(), "{text}");
    }
    assert!(from_text::<bool>("0").is_err() && from_text::<()>("false").is_err());
    assert!(from_text::<char>(r#""ab""#).is_err() && from_text::<u8>("256").is_err());
}

#[test]
fn a_tagged_notice_is_read_with_what_stands_beside_it() {
    let stream = ShortId([1; 20]);
    let text = r#"{"stream":"0x0101010101010101010101010101010101010101","kind":"withdrawn",
                   "author":null,"before":9,"again":true,"later":[{}]}"#;
    let event = NoticeEvent::Withdrawn {
        authors: Vec::new(),
        author: None,
        before: UnixSec(9),
        again: true,
    };
    assert_eq!(from_text::<Notice>(text), Ok(Notice { stream, event }));
    let later = r#"{"stream":"0x0101010101010101010101010101010101010101","kind":"later","x":1}"#;
    let event = NoticeEvent::Unknown;
    assert_eq!(from_text::<Notice>(later), Ok(Notice { stream, event }));
}
