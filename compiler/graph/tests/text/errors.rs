//! What the parser refuses, and where it points.

use girih_graph::text;

/// The message, line and column of the error.
fn refused(source: &str) -> (String, u32, u32) {
    let diag = text::parse(source, "t").unwrap_err();
    assert_eq!(diag.code, "G301");
    let (_, line, column) = diag.labels[0].loc.position().unwrap();
    (diag.message.clone(), line, column)
}

#[track_caller]
fn check(source: &str, line: u32, column: u32, part: &str) {
    let (message, l, c) = refused(source);
    assert!(message.contains(part), "{message}");
    assert_eq!((l, c), (line, column), "{message}");
}

#[test]
fn errors_point_at_the_place() {
    check("", 1, 1, "expected `graph`");
    check("graph \"g\" {\n  %1 = input : f32[]\n return }", 2, 3, "expected `%0`");
    check("graph \"g\" {\n  %0 = neg %3\n return }", 2, 12, "%3 is not defined");
    check("graph \"g\" {\n  %0 = input : f33[]\n return }", 2, 19, "no dtype `f33`");
    check("graph \"g\" {\n  %0 = input : f32[n]\n return }", 2, 21, "no symbol `n`");
    check("graph \"g\" {\n  %0 = input : f32[2]\n  %1 = sort %0 {axis = 1}\n return }", 3, 3, "`keys` is missing");
    check("graph \"g\" {\n  %0 = input : f32[2]\n  %1 = add %0\n return }", 3, 3, "takes 2 operands");
    check("graph \"g\" {\n  %0 = input : f32[2]\n  %1 = neg %0 : f32[3]\n return }", 3, 3, "not f32[3]");
    check("graph \"g\" {\n  %0 = frobnicate\n return }", 2, 3, "no operation `frobnicate`");
    check("graph \"g\" {\n  %0 = const {value = 1.0, x = 2} : f32[]\n return }", 2, 3, "no attribute `x`");
    check("graph \"g\" { %0 = call {callee = @nope}\n return }", 1, 33, "defined above");
    check("graph \"g\" { return } more", 1, 22, "the end");
    check("symbol n 5..=2\ngraph \"g\" { return }", 2, 1, "no values");
    check("graph \"g", 1, 9, "ends before");
    check("graph \"g\" { %0 = const {value = 0xabc} : u8[1] return }", 1, 38, "two digits");
}

#[test]
fn growth_is_bounded() {
    let mut doubling = String::from("graph \"g\" {\n  %0 = input : f32[1]\n");
    for i in 0..60 {
        doubling +=
            &format!("  %{} = dot %{i}, %{i} {{batch = [], contract = [], acc = f32, precision = exact}}\n", i + 1);
    }
    assert!(refused(&(doubling + " return }")).0.contains("axes"));

    let mut tuples = String::from("graph \"g\" {\n  %0 = input : f32[2]\n");
    for i in 0..60 {
        tuples += &format!("  %{} = tuple %{i}, %{i}\n", i + 1);
    }
    assert!(refused(&(tuples + " return }")).0.contains("too large"));

    let deep = format!("graph \"g\" {{ %0 = const {{value = {}", "[".repeat(100_000));
    assert!(refused(&deep).0.contains("brackets"));
    let deep = format!("graph \"g\" {{ %0 = input : {}", "(".repeat(100_000));
    assert!(refused(&deep).0.contains("tuples"));
    let deep = format!("graph \"g\" {{ %0 = input : f32[{}", "min(".repeat(100_000));
    assert!(refused(&deep).0.contains("functions"));
    assert!(
        refused("graph \"g\" { %0 = const {value = 0x00} : u8[4000000000, 4000000000] return }").0.contains("elements")
    );

    let mut bodies = String::from("graph @b0 \"b\" { %0 = input : f32[] return %0 }\n");
    for i in 0..80 {
        bodies += &format!(
            "graph @b{} \"b\" {{ %0 = input : f32[] %1 = input : i32[] %2 = cond %1, %0 {{branches = [@b{i}]}} %3 = proj %2 {{index = 0}} return %3 }}\n",
            i + 1
        );
        bodies = bodies.replace("%1 = input : i32[] ", "%1 = const {value = 0} : i32[] ");
    }
    assert!(refused(&(bodies + "graph \"g\" { return }")).0.contains("bodies"));
}
