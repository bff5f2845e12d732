import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { isCoded } from '../../src/base/errors.ts';
import { loadLibc } from '../../src/machine/libc.ts';
import { type ProgramOrder, ProgramStarter } from '../../src/machine/program-starter.ts';

/**
 * usage: no-descriptors.ts libc|node FREE: starts programs where FREE descriptors are left, and says what
 * became of it.
 */
const load = await loadLibc();
const starter = new ProgramStarter(
  process.argv[2] === 'libc' && load.status === 'loaded' ? load.libc : undefined,
);
const order: ProgramOrder = {
  argv: ['/bin/sh', '-c', 'exit 5'],
  environment: [],
  streams: ['input', 'output', 'output', 'input'],
  newSession: true,
};
/** Pipes and sockets: what a start opens. */
const open = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /^(pipe|socket):/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false; // the one with which the folder was read
    }
  }).length;
const nextTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

const before = open();
/** Down to the last few: some pipes of a start can be made, and others cannot. */
const fill: number[] = [];
try {
  for (;;) fill.push(openSync('/dev/null', 'r'));
} catch {
  for (const fd of fill.splice(0, Number(process.argv[3]))) closeSync(fd);
}
let refused = 0;
for (let i = 0; i < 20; i++) {
  try {
    const { streams } = await starter.start(order, starter);
    for (const stream of streams) stream?.destroy();
  } catch (e) {
    if (!isCoded(e, 'unavailable')) throw e;
    refused++;
  }
}
await nextTurn();
for (const fd of fill) closeSync(fd);
const left = open() - before;
const { ended } = await starter.start(order, starter);
// Nothing else keeps this process here.
const stay = setInterval(() => undefined, 1000);
const end = await ended;
clearInterval(stay);
console.log(
  `refused ${refused}, left open ${left}, then ${end.status} ${end.status === 'exited' ? end.code : ''}`,
);
process.exit(0);
