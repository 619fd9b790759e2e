/**
 * Following the displacement field: where each pixel ends (section 4.2 of the paper).
 *
 * Results on a limit cycle depend on the number of steps and on every rounding, so both are the
 * original's: state in f32, the arithmetic of one step in f64, 300 steps.
 */

import { type Maps, roundHalfEven } from "./maps.ts";

/** The original's number of steps. */
export const STEPS = 300;

/** The pixel (row-major number) that each pixel reaches after `steps` steps along `dp` (down, right). */
export function settle(dp: Maps, steps: number = STEPS): Int32Array {
  const ends = new Int32Array(dp.height * dp.width);
  const follower = new Follower(dp);
  for (let pixel = 0; pixel < ends.length; pixel++) {
    follower.y = Math.floor(pixel / dp.width);
    follower.x = pixel % dp.width;
    follower.follow(steps);
    // A position that is no number counts as 0.
    const [y, x] = [roundHalfEven(follower.y) | 0, roundHalfEven(follower.x) | 0];
    ends[pixel] = y * dp.width + x;
  }
  return ends;
}

/** One position on its way. */
class Follower {
  y = 0;
  x = 0;
  private readonly down: Float32Array;
  private readonly right: Float32Array;

  constructor(private readonly dp: Maps) {
    const area = dp.height * dp.width;
    this.down = dp.data.subarray(0, area);
    this.right = dp.data.subarray(area, 2 * area);
  }

  /**
   * A step depends on nothing but the position, so when an earlier one returns, whole rounds are left out
   * without any effect (Brent's cycle detection; a fixed point is a round of one step).
   */
  follow(steps: number): void {
    let [earlierY, earlierX] = [this.y, this.x];
    let [since, limit] = [0, 1];
    for (let left = steps; left > 0; ) {
      this.step();
      left--;
      since++;
      if (this.y === earlierY && this.x === earlierX) {
        left %= since;
      } else if (since === limit) {
        [earlierY, earlierX] = [this.y, this.x];
        [since, limit] = [0, 2 * limit];
      }
    }
  }

  private step(): void {
    const { y, x } = this;
    const { height, width } = this.dp;
    const [y0, x0] = [y | 0, x | 0];
    const [a, b] = [y - y0, x - x0];
    const here = y0 * width + x0;
    const right = here + (b > 0 ? 1 : 0);
    const below = here + (a > 0 ? width : 0);
    const both = below + (b > 0 ? 1 : 0);
    this.y = clamp(y + between(this.down, a, b, both, right, below, here), height - 1);
    this.x = clamp(x + between(this.right, a, b, both, right, below, here), width - 1);
  }
}

/** The field between four pixels; terms in the original's order, factors from left to right. */
function between(
  field: Float32Array,
  a: number,
  b: number,
  both: number,
  right: number,
  below: number,
  here: number,
): number {
  return (
    field[both]! * a * b +
    field[right]! * (1 - a) * b +
    field[below]! * a * (1 - b) +
    field[here]! * (1 - a) * (1 - b)
  );
}

/** Rounded to f32, then kept within the map. */
function clamp(value: number, last: number): number {
  return Math.min(Math.max(Math.fround(value), 0), last);
}
