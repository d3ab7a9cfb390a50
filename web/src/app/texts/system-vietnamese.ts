// The Vietnamese texts of the system panel.

import type { systemEnglish } from "./system-english.ts";

const numbers = new Intl.NumberFormat("vi");
const counted = (count: number, noun: string): string => `${numbers.format(count)} ${noun}`;

export const systemVietnamese: typeof systemEnglish = {
  title: "Hệ thống",
  chain: "Chuỗi",
  head: "Đầu / chung cuộc",
  contract: "Hợp đồng",
  anchorer: "Đang chờ được neo",
  segments: (count) => counted(count, "đoạn"),
  relays: "Nút chuyển tiếp",
  relaysAlive: (alive, all) => `${alive} trên ${all} đang chạy`,
  ok: "theo kịp",
  lag: (blocks) => `chậm ${counted(blocks, "khối")}`,
  down: "không trả lời",
  unknown: "chưa rõ",
  documents: "Tài liệu: hệ thống hoạt động thế nào và dùng ra sao",
  documentsAt: "/docs/vi/",
};
