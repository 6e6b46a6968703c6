#![allow(clippy::unwrap_used, clippy::panic)]
//! The texts are what the GNU C library prints (but for `%#g` of 999999.5, where it loses the zeros).
use super::*;

fn show(spec: &str, value: Value) -> String {
    line(&parse(&format!("{{%{spec}}}")).unwrap(), &[value]).0
}

fn i32(v: i64) -> Value {
    Value { dtype: DType::I32, bits: vec![v as u32 as u64] }
}

#[test]
fn integers_print_as_in_c() {
    let cases: &[(&str, i64, &str)] = &[
        ("d", 0, "0"),
        ("d", -5, "-5"),
        ("5d", 42, "   42"),
        ("-5d", 42, "42   "),
        ("05d", -42, "-0042"),
        ("+d", 42, "+42"),
        (" d", 42, " 42"),
        (".3d", 7, "007"),
        ("8.3d", -7, "    -007"),
        ("08.3d", 7, "     007"),
        (".0d", 0, ""),
        ("5.0d", 0, "     "),
        ("u", 4294967295, "4294967295"),
        ("u", -1, "4294967295"),
        ("x", 255, "ff"),
        ("X", 255, "FF"),
        ("#x", 255, "0xff"),
        ("#x", 0, "0"),
        ("#010x", 255, "0x000000ff"),
        ("o", 8, "10"),
        ("#o", 8, "010"),
        ("#.3o", 8, "010"),
        ("hhd", 300, "44"),
        ("hd", 70000, "4464"),
        ("hhu", -1, "255"),
        ("i", 2147483647, "2147483647"),
        ("c", 65, "A"),
        ("3c", 65, "  A"),
        ("-3c", 65, "A  "),
        ("+u", 7, "7"),
        ("- 6d", 3, " 3    "),
        ("x", -1, "ffffffff"),
    ];
    for (spec, v, want) in cases {
        assert_eq!(show(spec, i32(*v)), *want, "%{spec} of {v}");
    }
    let wide: &[(&str, i64, &str)] = &[
        ("ld", -5000000000, "-5000000000"),
        ("lld", -5000000000, "-5000000000"),
        ("llu", -1, "18446744073709551615"),
        ("lx", 81985529216486895, "123456789abcdef"),
        ("20lld", -1, "                  -1"),
        ("zu", 7, "7"),
        ("020llX", 46118400018, "00000000000ABCDEF012"),
    ];
    for (spec, v, want) in wide {
        assert_eq!(show(spec, Value { dtype: DType::I64, bits: vec![*v as u64] }), *want, "%{spec} of {v}");
        // As two words.
        let words = vec![*v as u32 as u64, *v as u64 >> 32];
        assert_eq!(show(spec, Value { dtype: DType::U32, bits: words }), *want, "%{spec} of {v} in two words");
    }
}

#[test]
fn floats_print_as_in_c() {
    let mut n = 0;
    for row in include_str!("floats.txt").lines() {
        let [spec, bits, want] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let bits = u64::from_str_radix(bits, 16).unwrap();
        assert_eq!(
            show(spec, Value { dtype: DType::F64, bits: vec![bits] }),
            want,
            "%{spec} of {}",
            f64::from_bits(bits)
        );
        n += 1;
    }
    assert!(n > 500);
    assert_eq!(show("f", Value { dtype: DType::F32, bits: vec![f32::to_bits(0.1) as u64] }), "0.100000");
    assert_eq!(show(".9g", Value { dtype: DType::F32, bits: vec![f32::to_bits(0.1) as u64] }), "0.100000001");
    assert_eq!(show("f", Value { dtype: DType::F32, bits: vec![0xffc0_0000] }), "-nan");
}

#[test]
fn a_line_has_texts_places_keys_and_braces() {
    let pieces = parse("{#}{{{}}}: {%*d|%d} {%.*f}".replace("|%d", "").as_str()).unwrap();
    let half = Value { dtype: DType::F32, bits: vec![f32::to_bits(0.5) as u64; 2] };
    let one = Value { dtype: DType::F32, bits: vec![f32::to_bits(1.25) as u64] };
    let (text, keys) = line(&pieces, &[i32(9), half, i32(5), i32(-3), i32(1), one]);
    assert_eq!((text.as_str(), &keys[..]), ("{(0.5, 0.5)}:    -3 1.2", &[9][..]));
    assert_eq!(pieces.iter().map(Piece::values).sum::<usize>(), 6);
    assert_eq!(parse(&escape("a {b} {%d}")).unwrap(), [Piece::Text("a {b} {%d}".into())]);
    for bad in ["{", "{%", "{%s}", "{%99999d}", "{x}", "{%d", "{%d }", "{%é}"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    // A line with too few values still is one.
    assert_eq!(line(&parse("{} {%d}").unwrap(), &[]).0, "? ?");
}

proptest::proptest! {
    #[test]
    fn any_text_and_value_print_without_panic(text in "[{}%#*.0-9a-zé-]{0,12}", spec in "[-+ 0#]{0,3}[0-9*]{0,3}(\\.[0-9*]{0,3})?[hl]{0,2}[diuoxXcfFeEgGaA]", bits: u64) {
        let values = vec![Value { dtype: DType::F64, bits: vec![bits] }, i32(bits as i64), Value { dtype: DType::F16, bits: vec![bits & 0xffff] }];
        for text in [text, format!("{{%{spec}}}")] {
            if let Ok(pieces) = parse(&text) {
                line(&pieces, &values);
            }
        }
    }
}
