//! JSON into types, in two steps: the text becomes a tree ([`Value`]), and the tree is read into the type.
//!
//! One reader for every type and every source. What `serde` derives is compiled once for each deserializer that it
//! meets, and once more for every shape that the deserializer would take; so this one takes an object for a struct and
//! nothing else, and says of what is wrong where it is, not what it looked like. That keeps the edge Worker small.
//! Whole numbers have 64 bits, whatever the type holds; of members with the same name the last one counts.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde_json::{Map, Number, Value};
use std::fmt::{self, Display};
use std::slice;

/// What is wrong with a JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    /// The members that lead to the place, the outermost first.
    path: String,
    reason: String,
}

impl JsonError {
    #[cold]
    fn new(reason: String) -> Self {
        let path = String::new();
        Self(Box::new(Parts { path, reason }))
    }

    /// The same, one level further out.
    #[cold]
    fn within(mut self, member: &str) -> Self {
        let separator = if self.0.path.is_empty() { "" } else { "." };
        self.0.path = [member, separator, &self.0.path].concat();
        self
    }
}

impl Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            f.write_str(&self.0.path)?;
            f.write_str(": ")?;
        }
        f.write_str(&self.0.reason)
    }
}

impl std::error::Error for JsonError {}

impl Error for JsonError {
    fn custom<T: Display>(reason: T) -> Self {
        Self::new(reason.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }
}

/// Reads a text.
pub fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    from_value(&tree(text)?)
}

/// Reads a text that came as bytes.
pub fn from_bytes<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    let text = std::str::from_utf8(text).map_err(|_| JsonError::new("not UTF-8".into()))?;
    from_text(text)
}

/// Reads a tree.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, JsonError> {
    T::deserialize(Tree(value))
}

/// The tree of a text.
pub fn tree(text: &str) -> Result<Value, JsonError> {
    serde_json::from_str(text).map_err(|error| JsonError::new(error.to_string()))
}

#[derive(Clone, Copy)]
struct Tree<'a>(&'a Value);

impl<'a> Tree<'a> {
    fn text(self) -> Result<&'a str, JsonError> {
        self.0.as_str().ok_or_else(|| expected("a text"))
    }

    fn whole(self) -> Result<u64, JsonError> {
        self.0.as_u64().ok_or_else(|| expected("a whole number"))
    }

    fn signed(self) -> Result<i64, JsonError> {
        self.0.as_i64().ok_or_else(|| expected("a whole number"))
    }

    fn number(self) -> Result<f64, JsonError> {
        self.0.as_f64().ok_or_else(|| expected("a number"))
    }

    fn list(self) -> Result<List<'a>, JsonError> {
        let list = self.0.as_array().ok_or_else(|| expected("a list"))?;
        Ok(List(list.iter()))
    }

    fn members(self) -> Result<Members<'a>, JsonError> {
        let members = self.0.as_object().ok_or_else(|| expected("an object"))?;
        Ok(Members::of(members))
    }

    fn variant(self) -> Result<Variant<'a>, JsonError> {
        match self.0 {
            Value::String(name) => Ok(Variant { name, content: None }),
            Value::Object(members) if members.len() == 1 => {
                let only = members.iter().next();
                let (name, content) = only.ok_or_else(|| expected("one member"))?;
                let content = Some(Tree(content));
                Ok(Variant { name, content })
            }
            _ => Err(expected("a text, or an object of one member")),
        }
    }
}

#[cold]
fn expected(what: &str) -> JsonError {
    JsonError::new(["expected ", what].concat())
}

fn visit_number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, JsonError> {
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => visitor.visit_u64(number),
        (_, Some(number)) => visitor.visit_i64(number),
        _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// Methods of [`Deserializer`] that read one kind of value and hand it to one method of the visitor.
macro_rules! read_as {
    ($($method:ident: $read:ident, $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
            visitor.$visit(self.$read()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tree<'_> {
    type Error = JsonError;

    read_as! {
        deserialize_u8: whole, visit_u64;
        deserialize_u16: whole, visit_u64;
        deserialize_u32: whole, visit_u64;
        deserialize_u64: whole, visit_u64;
        deserialize_u128: whole, visit_u64;
        deserialize_i8: signed, visit_i64;
        deserialize_i16: signed, visit_i64;
        deserialize_i32: signed, visit_i64;
        deserialize_i64: signed, visit_i64;
        deserialize_i128: signed, visit_i64;
        deserialize_f32: number, visit_f64;
        deserialize_f64: number, visit_f64;
        deserialize_char: text, visit_str;
        deserialize_str: text, visit_str;
        deserialize_string: text, visit_str;
        deserialize_identifier: text, visit_str;
        deserialize_seq: list, visit_seq;
        deserialize_map: members, visit_map;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Number(number) => visit_number(number, visitor),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(list) => visitor.visit_seq(List(list.iter())),
            Value::Object(members) => visitor.visit_map(Members::of(members)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        let flag = self.0.as_bool();
        visitor.visit_bool(flag.ok_or_else(|| expected("true or false"))?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.0.as_null().ok_or_else(|| expected("null"))?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, JsonError> {
        let list = self.list()?;
        if list.0.len() != length {
            return Err(JsonError::invalid_length(list.0.len(), &visitor));
        }
        visitor.visit_seq(list)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_map(self.members()?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_enum(self.variant()?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { bytes byte_buf }
}

struct List<'a>(slice::Iter<'a, Value>);

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = JsonError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, JsonError> {
        self.0
            .next()
            .map(|value| seed.deserialize(Tree(value)))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Members<'a> {
    rest: serde_json::map::Iter<'a>,
    /// The one whose name was read last.
    at: Option<(&'a str, &'a Value)>,
}

impl<'a> Members<'a> {
    fn of(members: &'a Map<String, Value>) -> Self {
        let rest = members.iter();
        Self { rest, at: None }
    }

    fn next_name(&mut self) -> Option<&'a str> {
        self.at = self.rest.next().map(|(name, value)| (name.as_str(), value));
        self.at.map(|(name, _)| name)
    }
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = JsonError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, JsonError> {
        self.next_name()
            .map(|name| seed.deserialize(Name(name)))
            .transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, JsonError> {
        let (name, value) = self.at.ok_or_else(|| expected("a name before its value"))?;
        seed.deserialize(Tree(value)).map_err(|error| error.within(name))
    }
}

/// The name of a member, or of a variant.
struct Name<'a>(&'a str);

impl<'de> Deserializer<'de> for Name<'_> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_str(self.0)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// One of an enum's variants: its name alone, or an object with its content under its name.
struct Variant<'a> {
    name: &'a str,
    content: Option<Tree<'a>>,
}

impl<'a> Variant<'a> {
    fn content(&self) -> Result<Tree<'a>, JsonError> {
        self.content.ok_or_else(|| expected("an object of one member"))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = JsonError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), JsonError> {
        Ok((seed.deserialize(Name(self.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = JsonError;

    fn unit_variant(self) -> Result<(), JsonError> {
        match self.content {
            None | Some(Tree(Value::Null)) => Ok(()),
            Some(_) => Err(expected("a text")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, JsonError> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, JsonError> {
        self.content()?.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_map(self.content()?.members()?)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
