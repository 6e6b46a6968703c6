#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use proptest::prelude::*;

/// Three symbols of different ranges; `k` is a multiple of 8 and `z` may be zero or negative.
fn symbols() -> Vec<Symbol> {
    let symbol = |name: &str, min, max, multiple_of| Symbol { name: name.into(), min, max, multiple_of };
    vec![symbol("k", 8, 512, 8), symbol("n", 1, 300, 1), symbol("z", -20, 20, 1)]
}

fn dim(text: &str) -> Dim {
    Dim::parse(text, &symbols()).unwrap()
}

fn bind(k: i64, n: i64, z: i64) -> Bindings {
    [("k", k), ("n", n), ("z", z)].into_iter().map(|(name, v)| (name.into(), v)).collect()
}

/// Values that the symbols can take.
fn bindings() -> impl Strategy<Value = Bindings> {
    (1i64..=64, 1i64..=300, -20i64..=20).prop_map(|(k, n, z)| bind(8 * k, n, z))
}

/// A size and, built alongside it without `Dim`, what it means.
#[derive(Clone, Debug)]
enum Tree {
    Int(i64),
    Sym(usize),
    Apply(&'static str, Box<Tree>, Box<Tree>),
}

impl Tree {
    fn dim(&self) -> Dim {
        match self {
            Tree::Int(v) => Dim::from(*v),
            Tree::Sym(i) => Dim::from(symbols()[*i].clone()),
            Tree::Apply(op, a, b) => {
                let (a, b) = (a.dim(), b.dim());
                match *op {
                    "+" => a + b,
                    "-" => a - b,
                    "*" => a * b,
                    "floordiv" => a.floor_div(&b),
                    "ceildiv" => a.ceil_div(&b),
                    "mod" => a.modulo(&b),
                    "min" => a.min_of(&b),
                    _ => a.max_of(&b),
                }
            }
        }
    }

    fn value(&self, bindings: &Bindings) -> i128 {
        match self {
            Tree::Int(v) => *v as i128,
            Tree::Sym(i) => bindings[&symbols()[*i].name] as i128,
            Tree::Apply(op, a, b) => {
                let (a, b) = (a.value(bindings), b.value(bindings));
                match *op {
                    "+" => a + b,
                    "-" => a - b,
                    "*" => a * b,
                    "floordiv" => a.div_euclid(b.max(1)),
                    "ceildiv" => -(-a).div_euclid(b.max(1)),
                    "mod" => a.rem_euclid(b.max(1)),
                    "min" => a.min(b),
                    _ => a.max(b),
                }
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Tree::Int(v) => v.to_string(),
            Tree::Sym(i) => symbols()[*i].name.to_string(),
            Tree::Apply(op @ ("+" | "-" | "*"), a, b) => format!("({} {op} {})", a.text(), b.text()),
            Tree::Apply(op, a, b) => format!("{op}({}, {})", a.text(), b.text()),
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![(-9i64..=64).prop_map(Tree::Int), (0usize..3).prop_map(Tree::Sym)];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let op = prop::sample::select(vec!["+", "+", "-", "*", "floordiv", "ceildiv", "mod", "min", "max"]);
        (op, inner.clone(), inner).prop_map(|(op, a, b)| Tree::Apply(op, Box::new(a), Box::new(b)))
    })
}

/// The exact value, when every part of it fits.
fn eval(d: &Dim, b: &Bindings) -> Option<i128> {
    d.eval(b).ok().map(i128::from)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sizes_mean_what_they_were_built_from(t in tree(), b in bindings()) {
        let d = t.dim();
        if let Some(v) = eval(&d, &b) {
            prop_assert_eq!(v, t.value(&b), "{}", d);
            let (lo, hi) = d.bounds();
            prop_assert!(lo as i128 <= v && v <= hi as i128, "{} is {} outside {}..={}", d, v, lo, hi);
        } else {
            prop_assert!(d.is_too_large() || t.value(&b).abs() > 1 << 40);
        }
    }

    #[test]
    fn substitution_gives_the_value(t in tree(), b in bindings()) {
        let d = t.dim();
        if let Some(v) = eval(&d, &b) {
            prop_assert_eq!(d.substitute(&b).as_const().map(i128::from), Some(v), "{}", d);
            let mut some = b.clone();
            let n = some.remove("n").unwrap();
            let rest = Bindings::from([("n".into(), n)]);
            prop_assert_eq!(eval(&d.substitute(&some), &rest), Some(v), "{}", d);
        }
    }

    #[test]
    fn text_and_serialized_forms_round_trip(t in tree()) {
        let d = t.dim();
        if !d.is_too_large() {
            prop_assert_eq!(&dim(&t.text()), &d);
            prop_assert_eq!(&dim(&d.to_string()), &d);
        }
        let json = serde_json::to_string(&d).unwrap();
        prop_assert_eq!(serde_json::from_str::<Dim>(&json).unwrap(), d);
    }

    #[test]
    fn answers_are_never_wrong(t in tree(), u in tree(), b in bindings(), n in -12i64..=12) {
        let (d, e) = (t.dim(), u.dim());
        let (Some(x), Some(y)) = (eval(&d, &b), eval(&e, &b)) else { return Ok(()) };
        let check = |known: Known, truth: bool| known == Known::Unknown || known.yes() == truth;
        prop_assert!(check(d.known_le(&e), x <= y), "{} <= {}", d, e);
        prop_assert!(check(d.known_eq(&e), x == y), "{} = {}", d, e);
        prop_assert!(check(d.divisible_by(n), if n == 0 { x == 0 } else { x % n as i128 == 0 }), "{} by {}", d, n);
        prop_assert!(d.known_eq(&d).yes() && d.known_le(&d).yes());
    }

    #[test]
    fn exact_division_undoes_multiplication(t in tree(), u in tree(), b in bindings()) {
        let (d, e) = (t.dim(), u.dim());
        let product = &d * &e;
        if !product.is_too_large() && !e.is(0) {
            prop_assert_eq!(product.exact_div(&e), Some(d.clone()), "{} * {}", d, e);
        }
        if let Some(q) = d.exact_div(&e) && let (Some(q), Some(x), Some(y)) = (eval(&q, &b), eval(&d, &b), eval(&e, &b)) {
            prop_assert_eq!(q * y, x);
        }
    }

    #[test]
    fn polynomial_laws_hold_as_equality(t in tree(), u in tree(), w in tree()) {
        let (a, b, c) = (t.dim(), u.dim(), w.dim());
        let all = [&a * &b, &b * &c, &a * &c, &(&a * &b) * &c, &(&a + &b) * &c, &(&b * &c) * &a];
        if all.iter().any(Dim::is_too_large) { return Ok(()) }
        prop_assert_eq!(&a + &b, &b + &a);
        prop_assert_eq!(&(&a + &b) + &c, &a + &(&b + &c));
        prop_assert_eq!(&(&a + &b) - &b, a.clone());
        prop_assert_eq!(&a * &b, &b * &a);
        prop_assert_eq!(&(&a * &b) * &c, &a * &(&b * &c));
        prop_assert_eq!(&(&a + &b) * &c, &(&a * &c) + &(&b * &c));
        prop_assert_eq!(a.min_of(&b), b.min_of(&a));
        prop_assert_eq!(a.max_of(&b), b.max_of(&a));
        prop_assert_eq!(&a + &-a.clone(), Dim::ZERO);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[-0-9knz+*(), a-df-rv$]{0,40}") {
        match Dim::parse(&text, &symbols()) {
            Ok(d) => prop_assert_eq!(dim(&d.to_string()), d),
            Err(e) => prop_assert_eq!(e.code, "B003"),
        }
    }
}

#[test]
fn equal_sizes_print_alike() {
    for (text, printed) in [
        ("n + k*n - 1", "k*n+n-1"),
        ("(n+1)*(n-1)", "n*n-1"),
        ("n - n", "0"),
        ("-n*-3", "3*n"),
        ("floordiv(4*n + 3, 4)", "n"),
        ("mod(4*n + 7, 4)", "3"),
        ("floordiv(n, 301)", "0"),
        ("mod(n, 301)", "n"),
        ("ceildiv(k*n, k)", "n"),
        ("floordiv(n*n - 1, n + 1)", "n-1"),
        ("max(n, 0)", "n"),
        ("min(n+1, n)", "n"),
        ("max(z, n) - max(n, z)", "0"),
        ("floordiv(z, -3)", "z"),
        ("-9223372036854775808", "-9223372036854775808"),
    ] {
        assert_eq!(dim(text).to_string(), printed, "{text}");
    }
}

#[test]
fn known_facts_of_symbols_are_used() {
    assert_eq!(dim("k + 16").divisible_by(8), Known::Yes);
    assert_eq!(dim("k*n + 4").divisible_by(8), Known::No);
    assert_eq!(dim("min(k, 2*k - 8)").divisible_by(8), Known::Yes);
    assert_eq!(dim("n").divisible_by(2), Known::Unknown);
    assert_eq!(dim("n").known_le(&dim("k*n")), Known::Unknown, "interval arithmetic does not factor");
    assert_eq!(dim("n").known_le(&dim("300")), Known::Yes);
    assert_eq!(dim("n").known_eq(&dim("n + k")), Known::No);
    assert_eq!(dim("mod(z, 7)").bounds(), (0, 6));
}

#[test]
fn a_symbol_that_may_be_zero_does_not_cancel() {
    // At z = 0 the divisor counts as 1 and the quotient is 0, not n.
    let q = dim("floordiv(n*z, z)");
    assert_eq!(q.eval(&bind(8, 5, 0)), Ok(0));
    assert_eq!(q.eval(&bind(8, 5, 2)), Ok(5));
    assert_eq!(dim("floordiv(z, z)").eval(&bind(8, 5, 0)), Ok(0));
}

#[test]
fn overflow_is_too_large_not_wrong() {
    let big = Dim::symbol("b", 0, i64::MAX);
    let values = Bindings::from([("b".into(), i64::MAX)]);
    assert_eq!((&big + 1).eval(&values), Err(TOO_LARGE.into()));
    assert_eq!((&(&big * 2) - &big).eval(&values), Ok(i64::MAX));
    assert_eq!(big.eval(&Bindings::new()), Err("b".into()));
    let grown = [&(&big * i64::MAX) * 2, &Dim::from(i64::MAX) + 1, &Dim::from(i64::MIN) * -1, -(&big * i64::MIN)];
    for d in grown {
        assert!(d.is_too_large(), "{d}");
        assert!((&d - &d).is_too_large() && d.floor_div(&d).is_too_large() && d.min_of(&Dim::ZERO).is_too_large());
        assert_eq!(
            (d.known_eq(&d), d.known_le(&d), d.divisible_by(1)),
            (Known::Unknown, Known::Unknown, Known::Unknown)
        );
        assert_eq!((d.exact_div(&d), d.eval(&values)), (None, Err(TOO_LARGE.into())));
    }
    assert_eq!(Dim::from(i64::MIN).exact_div(&Dim::from(-1i64)), None);
    assert!(big.known_le(&(&big + 1)).yes());
}

#[test]
fn growth_is_bounded() {
    let mut product = Dim::ONE;
    for i in 0..40 {
        product = product * (Dim::symbol(&format!("s{i}"), 0, 9) + 1);
    }
    assert!(product.is_too_large());
    let mut nested = dim("n");
    for _ in 0..100 {
        nested = (&nested * &nested).max_of(&dim("z")).floor_div(&dim("n + k"));
    }
    assert!(nested.is_too_large());
}

#[test]
fn hostile_text_is_refused() {
    let deep = format!("{}n{}", "(".repeat(100_000), ")".repeat(100_000));
    let power = vec!["n"; 1000].join("*");
    let minus = format!("{}n", "-".repeat(100_001));
    for text in
        [&deep, &power, "", "n+", "n n", "min(n)", "min(n,n,n)", "sqrt(n,n)", "x", "9223372036854775808", "1n", "()"]
    {
        assert_eq!(Dim::parse(text, &symbols()).unwrap_err().code, "B003", "{text:.20}");
    }
    assert_eq!(dim(&minus).to_string(), "-n");
    for json in [
        r#"{"text":"$1","symbols":[]}"#,
        r#"{"text":"$0","symbols":[{"name":"n","min":2,"max":1,"multiple_of":1}]}"#,
        r#"{"text":"$0","symbols":[{"name":"n","min":0,"max":1,"multiple_of":0}]}"#,
    ] {
        assert!(serde_json::from_str::<Dim>(json).is_err(), "{json}");
    }
}

/// Two symbols of one name but different ranges stay two symbols when stored, whatever their name.
#[test]
fn stored_symbols_are_told_apart() {
    let d = Dim::symbol("a b-1", 0, 3) * Dim::symbol("a b-1", 0, 4) + 1;
    let json = serde_json::to_string(&d).unwrap();
    assert_eq!(serde_json::from_str::<Dim>(&json).unwrap(), d);
    assert_eq!(d.bounds(), (1, 13));
}
