/**
 * Terminal modes of a pty-req, put into a `struct termios` of Linux. Sources: RFC 4254, 8; RFC 8160;
 * asm-generic/termbits.h
 */
import { endianness } from 'node:os';

/** Control characters: opcode to index in c_cc. */
const characters: Readonly<Record<number, number>> = {
  1: 0, // VINTR
  2: 1, // VQUIT
  3: 2, // VERASE
  4: 3, // VKILL
  5: 4, // VEOF
  6: 11, // VEOL
  7: 16, // VEOL2
  8: 8, // VSTART
  9: 9, // VSTOP
  10: 10, // VSUSP
  12: 12, // VREPRINT
  13: 14, // VWERASE
  14: 15, // VLNEXT
  18: 13, // VDISCARD
};

/** Offsets of the flag words and of c_cc. */
const iflag = 0;
const oflag = 4;
const cflag = 8;
const lflag = 12;
const controlCharacters = 17;

/** Flags: opcode to [word, bit]. */
const flags: Readonly<Record<number, readonly [number, number]>> = {
  30: [iflag, 0o4], // IGNPAR
  31: [iflag, 0o10], // PARMRK
  32: [iflag, 0o20], // INPCK
  33: [iflag, 0o40], // ISTRIP
  34: [iflag, 0o100], // INLCR
  35: [iflag, 0o200], // IGNCR
  36: [iflag, 0o400], // ICRNL
  37: [iflag, 0o1000], // IUCLC
  38: [iflag, 0o2000], // IXON
  39: [iflag, 0o4000], // IXANY
  40: [iflag, 0o10000], // IXOFF
  41: [iflag, 0o20000], // IMAXBEL
  42: [iflag, 0o40000], // IUTF8
  50: [lflag, 0o1], // ISIG
  51: [lflag, 0o2], // ICANON
  52: [lflag, 0o4], // XCASE
  53: [lflag, 0o10], // ECHO
  54: [lflag, 0o20], // ECHOE
  55: [lflag, 0o40], // ECHOK
  56: [lflag, 0o100], // ECHONL
  57: [lflag, 0o200], // NOFLSH
  58: [lflag, 0o400], // TOSTOP
  59: [lflag, 0o100000], // IEXTEN
  60: [lflag, 0o1000], // ECHOCTL
  61: [lflag, 0o4000], // ECHOKE
  62: [lflag, 0o40000], // PENDIN
  70: [oflag, 0o1], // OPOST
  71: [oflag, 0o2], // OLCUC
  72: [oflag, 0o4], // ONLCR
  73: [oflag, 0o10], // OCRNL
  74: [oflag, 0o20], // ONOCR
  75: [oflag, 0o40], // ONLRET
  92: [cflag, 0o400], // PARENB
  93: [cflag, 0o1000], // PARODD
};

/** Character size: opcode to bits of CSIZE. */
const sizes: Readonly<Record<number, number>> = { 90: 0o40, 91: 0o60 };
const CSIZE = 0o60;
const DISABLED = 255;

const little = endianness() === 'LE';
const read = (termios: Buffer, at: number): number =>
  little ? termios.readUInt32LE(at) : termios.readUInt32BE(at);
const write = (termios: Buffer, at: number, word: number): void => {
  if (little) termios.writeUInt32LE(word >>> 0, at);
  else termios.writeUInt32BE(word >>> 0, at);
};

/** Edits `termios` in place. Opcodes that Linux does not have, and line speeds, change nothing. */
export function applyTerminalModes(termios: Buffer, modes: ReadonlyMap<number, number>): void {
  for (const [opcode, value] of modes) {
    const character = characters[opcode];
    if (character !== undefined)
      termios.writeUInt8(value === DISABLED ? 0 : value & 0xff, controlCharacters + character);
    const flag = flags[opcode];
    if (flag !== undefined) {
      const [at, bit] = flag;
      const word = read(termios, at);
      write(termios, at, value === 0 ? word & ~bit : word | bit);
    }
    const size = sizes[opcode];
    if (size !== undefined && value !== 0) write(termios, cflag, (read(termios, cflag) & ~CSIZE) | size);
  }
}
