//! Searching what is sorted by ids.

/// The first of `count` sorted keys that is not less than `wanted`. Ids are spread evenly, so the
/// search begins where it would be, and ends after a few steps.
pub fn lower_bound<'k>(count: usize, wanted: &[u8], key: impl Fn(usize) -> &'k [u8]) -> usize {
    let mut prefix = [0; 8];
    let len = wanted.len().min(8);
    prefix[..len].copy_from_slice(&wanted[..len]);
    let share = (u128::from(u64::from_be_bytes(prefix)) * count as u128) >> 64;
    let guess = (share as usize).min(count);
    let (mut low, mut high) = (0, count);
    let mut step = 8;
    if guess < count && key(guess) < wanted {
        low = guess + 1;
        while low + step < high {
            match key(low + step) < wanted {
                true => low += step + 1,
                false => high = low + step,
            }
            step *= 2;
        }
    } else {
        high = guess;
        while high > step {
            match key(high - step) < wanted {
                true => {
                    low = high - step + 1;
                    break;
                }
                false => high -= step,
            }
            step *= 2;
        }
    }
    while low < high {
        let middle = low + (high - low) / 2;
        match key(middle) < wanted {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}
