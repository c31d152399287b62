//! The JSON functions of the SQL standard, whose clauses come after the arguments.

use super::{Expected, Parser, Result};
use crate::parse::ast::{
    DataType, Expr, ExprKind, JsonElement, JsonEntry, JsonExistsOnError, JsonFunction, JsonOnNull,
    JsonQueryBehavior, JsonQueryFunction, JsonValueBehavior, JsonWrapper,
};
use crate::parse::token::Sign;

impl Parser<'_> {
    /// The JSON function named by `word`, if it is one.
    pub(super) fn json_function(&mut self, word: &str) -> Result<Option<Expr>> {
        let start = self.span();
        if !word.starts_with("JSON_") {
            return Ok(None);
        }
        let function = match word {
            "JSON_EXISTS" => self.nested(Self::json_exists)?,
            "JSON_VALUE" => self.nested(Self::json_value)?,
            "JSON_QUERY" => self.nested(Self::json_query)?,
            "JSON_OBJECT" => self.nested(Self::json_object)?,
            "JSON_ARRAY" => self.nested(Self::json_array)?,
            "JSON_OBJECTAGG" => self.nested(Self::json_object_aggregate)?,
            "JSON_ARRAYAGG" => self.nested(Self::json_array_aggregate)?,
            _ => return Ok(None),
        };
        Ok(Some(Expr::new(
            ExprKind::Json(Box::new(function)),
            self.span_from(start),
        )))
    }

    /// `NAME ( input [FORMAT JSON], path`.
    fn json_input(&mut self) -> Result<(Expr, Expr)> {
        self.advance();
        self.expect_sign(Sign::LeftParen)?;
        let input = self.expr()?;
        self.eat_words(&["FORMAT", "JSON"]);
        self.expect_sign(Sign::Comma)?;
        Ok((input, self.expr()?))
    }

    fn json_exists(&mut self) -> Result<JsonFunction> {
        let (input, path) = self.json_input()?;
        let behaviors = [
            JsonExistsOnError::True,
            JsonExistsOnError::False,
            JsonExistsOnError::Unknown,
            JsonExistsOnError::Error,
        ];
        let on_error = self
            .eat_any_word(&["TRUE", "FALSE", "UNKNOWN", "ERROR"])
            .map(|index| behaviors[index]);
        if on_error.is_some() {
            self.expect_words(&["ON", "ERROR"])?;
        }
        self.expect_sign(Sign::RightParen)?;
        Ok(JsonFunction::Exists {
            input,
            path,
            on_error,
        })
    }

    fn json_returning(&mut self) -> Result<Option<DataType>> {
        if self.eat_word("RETURNING") {
            self.data_type().map(Some)
        } else {
            Ok(None)
        }
    }

    fn json_value(&mut self) -> Result<JsonFunction> {
        let (input, path) = self.json_input()?;
        let returning = self.json_returning()?;
        let (mut on_empty, mut on_error) = (None, None);
        while let Some(behavior) = self.json_value_behavior()? {
            self.json_condition(behavior, &mut on_empty, &mut on_error)?;
        }
        self.expect_sign(Sign::RightParen)?;
        Ok(JsonFunction::Value {
            input,
            path,
            returning,
            on_empty,
            on_error,
        })
    }

    fn json_value_behavior(&mut self) -> Result<Option<JsonValueBehavior>> {
        if self.eat_word("ERROR") {
            return Ok(Some(JsonValueBehavior::Error));
        }
        if self.eat_word("NULL") {
            return Ok(Some(JsonValueBehavior::Null));
        }
        if self.eat_word("DEFAULT") {
            let value = Box::new(self.expr()?);
            return Ok(Some(JsonValueBehavior::Default(value)));
        }
        Ok(None)
    }

    /// `ON EMPTY` or `ON ERROR` after a behavior, each at most once.
    fn json_condition<T>(
        &mut self,
        behavior: T,
        on_empty: &mut Option<T>,
        on_error: &mut Option<T>,
    ) -> Result<()> {
        self.expect_word("ON")?;
        let span = self.span();
        let index = self.expect_any_word(&["EMPTY", "ERROR"])?;
        let slot = if index == 0 { on_empty } else { on_error };
        if slot.is_some() {
            let name = if index == 0 { "ON EMPTY" } else { "ON ERROR" };
            return Err(self.invalid(span, format!("{name} is given twice")));
        }
        *slot = Some(behavior);
        Ok(())
    }

    fn json_query(&mut self) -> Result<JsonFunction> {
        let (input, path) = self.json_input()?;
        let returning = self.json_returning()?;
        let wrapper = self.json_wrapper()?;
        let (mut on_empty, mut on_error) = (None, None);
        while let Some(behavior) = self.json_query_behavior()? {
            self.json_condition(behavior, &mut on_empty, &mut on_error)?;
        }
        self.expect_sign(Sign::RightParen)?;
        Ok(JsonFunction::Query(JsonQueryFunction {
            input,
            path,
            returning,
            wrapper,
            on_empty,
            on_error,
        }))
    }

    fn json_wrapper(&mut self) -> Result<Option<JsonWrapper>> {
        let wrapper = if self.eat_word("WITHOUT") {
            JsonWrapper::Without
        } else if self.eat_word("WITH") {
            match self.eat_any_word(&["CONDITIONAL", "UNCONDITIONAL"]) {
                Some(0) => JsonWrapper::Conditional,
                _ => JsonWrapper::Unconditional,
            }
        } else {
            return Ok(None);
        };
        self.eat_word("ARRAY");
        self.expect_word("WRAPPER")?;
        Ok(Some(wrapper))
    }

    fn json_query_behavior(&mut self) -> Result<Option<JsonQueryBehavior>> {
        if self.eat_word("ERROR") {
            return Ok(Some(JsonQueryBehavior::Error));
        }
        if self.eat_word("NULL") {
            return Ok(Some(JsonQueryBehavior::Null));
        }
        if self.eat_word("EMPTY") {
            return Ok(Some(match self.expect_any_word(&["ARRAY", "OBJECT"])? {
                0 => JsonQueryBehavior::EmptyArray,
                _ => JsonQueryBehavior::EmptyObject,
            }));
        }
        Ok(None)
    }

    /// `[NULL ON NULL | ABSENT ON NULL]`.
    fn json_on_null(&mut self) -> Result<Option<JsonOnNull>> {
        let choices = [JsonOnNull::Null, JsonOnNull::Absent];
        let Some(index) = self.eat_any_word(&["NULL", "ABSENT"]) else {
            return Ok(None);
        };
        self.expect_words(&["ON", "NULL"])?;
        Ok(Some(choices[index]))
    }

    fn at_json_on_null(&self) -> bool {
        self.is_words(&["NULL", "ON", "NULL"]) || self.is_words(&["ABSENT", "ON", "NULL"])
    }

    /// `[KEY] key VALUE value`, `key : value` or `key, value`.
    fn json_entry(&mut self) -> Result<JsonEntry> {
        let has_key_word =
            self.is_word("KEY") && !self.is_sign_at(1, Sign::Colon) && !self.is_word_at(1, "VALUE");
        if has_key_word {
            self.advance();
        }
        let key = self.expr()?;
        let separated = self.eat_word("VALUE")
            || (!has_key_word && (self.eat_sign(Sign::Colon) || self.eat_sign(Sign::Comma)));
        if !separated {
            return Err(self.unexpected());
        }
        Ok(JsonEntry {
            key,
            value: self.json_element()?,
        })
    }

    fn json_element(&mut self) -> Result<JsonElement> {
        let value = self.expr()?;
        let format_json = self.eat_words(&["FORMAT", "JSON"]);
        Ok(JsonElement { value, format_json })
    }

    fn json_object(&mut self) -> Result<JsonFunction> {
        self.advance();
        self.expect_sign(Sign::LeftParen)?;
        let mut entries = Vec::new();
        if !self.is_sign(Sign::RightParen) && !self.at_json_on_null() {
            entries = self.comma_separated(Self::json_entry)?;
        }
        let on_null = self.json_on_null()?;
        self.expect_sign(Sign::RightParen)?;
        Ok(JsonFunction::Object { entries, on_null })
    }

    fn json_array(&mut self) -> Result<JsonFunction> {
        self.advance();
        self.expect_sign(Sign::LeftParen)?;
        let mut elements = Vec::new();
        if !self.is_sign(Sign::RightParen) && !self.at_json_on_null() {
            elements = self.comma_separated(Self::json_element)?;
        }
        let on_null = self.json_on_null()?;
        self.expect_sign(Sign::RightParen)?;
        Ok(JsonFunction::Array { elements, on_null })
    }

    fn json_object_aggregate(&mut self) -> Result<JsonFunction> {
        self.advance();
        self.expect_sign(Sign::LeftParen)?;
        let entry = self.json_entry()?;
        let on_null = self.json_on_null()?;
        self.expect_sign(Sign::RightParen)?;
        let filter = self.filter()?;
        Ok(JsonFunction::ObjectAgg {
            entry,
            on_null,
            filter,
            over: self.over()?,
        })
    }

    fn json_array_aggregate(&mut self) -> Result<JsonFunction> {
        self.advance();
        self.expect_sign(Sign::LeftParen)?;
        let element = self.json_element()?;
        let mut order_by = self.order_by()?;
        let on_null = self.json_on_null()?;
        self.expect_sign(Sign::RightParen)?;
        if self.eat_words(&["WITHIN", "GROUP"]) {
            if !order_by.is_empty() {
                return Err(self.invalid(
                    self.previous_span(),
                    "ORDER BY is given twice: inside and WITHIN GROUP",
                ));
            }
            self.expect_sign(Sign::LeftParen)?;
            order_by = self.order_by()?;
            if order_by.is_empty() {
                self.note(Expected::Word("ORDER"));
                return Err(self.unexpected());
            }
            self.expect_sign(Sign::RightParen)?;
        }
        let filter = self.filter()?;
        Ok(JsonFunction::ArrayAgg {
            element,
            order_by,
            on_null,
            filter,
            over: self.over()?,
        })
    }
}
