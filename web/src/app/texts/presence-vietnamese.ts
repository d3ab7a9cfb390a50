// The Vietnamese texts about who is on the stream.

import type { presenceEnglish } from "./presence-english.ts";

const numbers = new Intl.NumberFormat("vi");

export const presenceVietnamese: typeof presenceEnglish = {
  readers: (count) => `${numbers.format(count)} người đang đọc`,
  seen: "Những người muốn được thấy:",
  nobody: "Chưa có ai ở đây chọn để được thấy.",
  others: (count) => `và ${numbers.format(count)} người nữa`,
  show: "Cho người đọc luồng này thấy địa chỉ của tôi",
};
