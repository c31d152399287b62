//! Tokens: the words, literals and signs of a statement, each with its place.

use super::span::Span;

/// A token. The text of words and numbers is read from the statement through the span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

/// The kinds of tokens. Comments and white space are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// A key word or an identifier without quotes: which of the two depends on the place.
    Word,
    /// An identifier in back-ticks, unescaped.
    QuotedIdent(String),
    /// An unsigned number.
    Number,
    /// `'…'`, unescaped.
    String(String),
    /// `_CHARSET'…'` or `N'…'`.
    CharsetString {
        charset: String,
        value: String,
    },
    /// `U&'…'`: unescaped quotes, but not yet unescaped code points, since UESCAPE may follow.
    UnicodeString(String),
    /// `X'…'`: the digits as written.
    BinaryString(String),
    Sign(Sign),
    /// After the last token.
    End,
}

macro_rules! signs {
    ($($name:ident $text:literal,)*) => {
        /// Operators and punctuation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Sign {
            $($name,)*
        }

        impl Sign {
            /// How the sign is written.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        /// All signs; a sign stands before those that are its beginning.
        pub(super) const SIGNS: &[Sign] = &[$(Sign::$name,)*];
    };
}

signs! {
    HintStart "/*+",
    HintEnd "*/",
    NotEquals "<>",
    BangEquals "!=",
    LessThanOrEqual "<=",
    GreaterThanOrEqual ">=",
    Arrow "=>",
    Concat "||",
    DoubleColon "::",
    ExcludeStart "{-",
    ExcludeEnd "-}",
    LeftParen "(",
    RightParen ")",
    LeftBracket "[",
    RightBracket "]",
    LeftBrace "{",
    RightBrace "}",
    Comma ",",
    Dot ".",
    Semicolon ";",
    Colon ":",
    Equals "=",
    LessThan "<",
    GreaterThan ">",
    Plus "+",
    Minus "-",
    Star "*",
    Slash "/",
    Percent "%",
    Pipe "|",
    Question "?",
    Caret "^",
    Dollar "$",
}
