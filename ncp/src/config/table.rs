//! One table of all options, from which reading, checking, the reference page and the sample follow.
//!
//! [`sections!`](sections) takes a section's options as a list of fields. Each field's type knows how
//! to read itself and what it is called ([`super::value::Field`]), its default is written as the file
//! would write it and read by the same code, and its comment is the text of the reference page. So
//! there is no second place to forget.

/// The value of an option that the file doesn't set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// As if the file said so.
    Text(&'static str),
    /// No value.
    Unset,
    /// The file must set it.
    Required,
}

/// One option of the table.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Name in the file.
    pub name: &'static str,
    /// Another name that later versions of the original gave it.
    pub alias: Option<&'static str>,
    /// What it takes.
    pub kind: fn() -> String,
    /// Whether it takes several values.
    pub list: bool,
    /// Whether its value must stay out of messages.
    pub secret: bool,
    /// What holds when it is not set.
    pub default: Default,
    /// The requirement it comes from, or `own`.
    pub from: &'static str,
    /// Whether it does anything in this version. Options that don't are read and checked all the
    /// same, since one file serves several components.
    pub acts: bool,
    /// Its meaning, in lines.
    pub doc: &'static [&'static str],
}

/// One section of the table.
#[derive(Debug, Clone, Copy)]
pub struct SectionSpec {
    /// Name in the file.
    pub name: &'static str,
    /// What it is for, in lines.
    pub doc: &'static [&'static str],
    /// Its options, in the order of the reference page.
    pub options: &'static [OptionSpec],
}

/// A struct that a section is read into.
pub(super) trait Section: Sized {
    /// The section's part of the table.
    const SPEC: SectionSpec;
    /// Reads each option, reporting mistakes to the reader.
    fn read(from: &mut super::reader::Reader<'_>) -> Self;
}

macro_rules! sections {
    ($(
        $(#[doc = $sdoc:literal])*
        [$section:literal] $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $option:ident: $kind:ty = $default:tt, $from:literal $(($mark:ident))? $(alias $alias:literal)?;
            )*
        }
    )*) => {
        $(
            $(#[doc = $sdoc])*
            #[derive(Debug, Clone)]
            pub struct $name {
                $($(#[doc = $doc])* pub $option: $kind,)*
            }

            impl $crate::config::table::Section for $name {
                const SPEC: $crate::config::table::SectionSpec = $crate::config::table::SectionSpec {
                    name: $section,
                    doc: &[$($sdoc),*],
                    options: &[$($crate::config::table::OptionSpec {
                        name: stringify!($option),
                        alias: $crate::config::table::sections!(@alias $($alias)?),
                        kind: <$kind as $crate::config::value::Field>::kind,
                        list: <$kind as $crate::config::value::Field>::LIST,
                        secret: <$kind as $crate::config::value::Field>::SECRET,
                        default: $crate::config::table::sections!(@default $default),
                        from: $from,
                        acts: $crate::config::table::sections!(@acts $($mark)?),
                        doc: &[$($doc),*],
                    }),*],
                };

                fn read(from: &mut $crate::config::reader::Reader<'_>) -> Self {
                    let mut options = Self::SPEC.options.iter();
                    Self { $($option: from.take(Self::SPEC.name, options.next()),)* }
                }
            }
        )*

        /// All sections, in the order of the reference page.
        pub const SECTIONS: &[$crate::config::table::SectionSpec] =
            &[$(<$name as $crate::config::table::Section>::SPEC),*];
    };
    (@alias) => { None };
    (@alias $alias:literal) => { Some($alias) };
    (@default unset) => { $crate::config::table::Default::Unset };
    (@default required) => { $crate::config::table::Default::Required };
    (@default $text:literal) => { $crate::config::table::Default::Text($text) };
    (@acts) => { true };
    (@acts idle) => { false };
}
pub(super) use sections;
