// The English texts about who is on the stream.

const numbers = new Intl.NumberFormat("en");

export const presenceEnglish = {
  readers: (count: number): string => `${numbers.format(count)} reading`,
  seen: "Who wishes to be seen:",
  nobody: "Nobody here has chosen to be seen.",
  others: (count: number): string => `and ${numbers.format(count)} more`,
  show: "Show my address to the readers of this stream",
};
