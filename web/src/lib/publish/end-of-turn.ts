// What is done once at the end of a turn of the page, however often the turn asks for it.

/**
 * Steps of microtasks from what a turn does first to its end. Sending begins one step on; where the browser signs at once, as
 * Chromium does, the signature is there two steps behind that.
 */
const STEPS = 5;

/** A function that plans `act` for the end of the present turn, once for all that plan it. */
export function endOfTurn(act: () => void): () => void {
  let isPlanned = false;
  const step = (left: number): void => {
    if (left > 0) {
      queueMicrotask(() => step(left - 1));
      return;
    }
    isPlanned = false;
    act();
  };
  return () => {
    if (isPlanned) return;
    isPlanned = true;
    step(STEPS);
  };
}
