//! What the small transformer learns.

/// A short text with much repetition in it, so that a small model can learn it in seconds.
pub const TEXT: &str = "\
the weaver sets a star, and round the star a ring of kites, and round the kites a ring of stars.
the mason sets a tile, and beside the tile a tile, and the tiles cover the wall and leave no gap.
the wall is made of tiles, and the tiles are made of lines, and the lines meet where the stars are.
five shapes are enough: the star, the kite, the ring, the bow and the tile.
one shape turns into the next, and the next turns into the first, and no part is left alone.
the mason knows the star, and the weaver knows the ring, and the wall is made of what they know.
what is small is set with care, and what is set with care makes the great wall, and the wall stands.
";

/// The distinct characters of the text, sorted; a token is a place in this list.
pub fn alphabet() -> Vec<char> {
    let mut letters: Vec<char> = TEXT.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    letters
}

/// The text as tokens; characters that do not occur in it are left out.
pub fn encode(text: &str) -> Vec<u32> {
    let letters = alphabet();
    text.chars().filter_map(|c| letters.binary_search(&c).ok()).map(|i| i as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_a_token() {
        let tokens = encode(TEXT);
        assert_eq!(tokens.len(), TEXT.chars().count());
        assert!(alphabet().len() < 40 && tokens.iter().all(|t| (*t as usize) < alphabet().len()));
    }
}
