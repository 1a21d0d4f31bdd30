//! Lists that the compiler keeps complete. The macro stands before all modules, so each of them can
//! use it without naming where it comes from.

/// Declares the list of an enum's variants. An enum that gets another variant does not compile until
/// that stands in the list as well; nor does a list that names a variant twice.
macro_rules! all_variants {
    ($(#[$about:meta])* $access:vis const $name:ident = [
        $($variant:ident $(($inner:path))?),+ $(,)?
    ];) => {
        $(#[$about])*
        $access const $name: [Self; [$(stringify!($variant)),+].len()] = {
            // It is never called. Its match must name every variant.
            let _complete = |value: Self| match value {
                $(Self::$variant $(($inner))? => (),)+
            };
            [$(Self::$variant $(($inner))?),+]
        };
    };
}
