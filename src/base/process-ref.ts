import { readFileSync } from 'node:fs';

/** A process of this machine, distinguished from later ones with the same id. */
export interface ProcessRef {
  readonly pid: number;
  /** In ticks since the machine was started; proc(5), field 22 of stat. */
  readonly startTime: string;
}

/** Undefined when there is no such process. */
export function processRef(pid: number): ProcessRef | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    const [state] = fields;
    return state === 'Z' || state === 'X' ? undefined : { pid, startTime: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

export const isAlive = (ref: ProcessRef): boolean => processRef(ref.pid)?.startTime === ref.startTime;
