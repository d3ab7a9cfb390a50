// What is done once at the end of a turn of the page, however often the turn asks for it.

/**
 * A function that plans `act` for the end of the present turn: two steps of microtasks on, so that it is behind what the
 * first step begins, such as signatures.
 */
export function endOfTurn(act: () => void): () => void {
  let isPlanned = false;
  const run = (): void => {
    isPlanned = false;
    act();
  };
  return () => {
    if (isPlanned) return;
    isPlanned = true;
    queueMicrotask(() => queueMicrotask(run));
  };
}
