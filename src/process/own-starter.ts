import { loadLibc } from '../machine/libc.ts';
import { ProgramStarter } from '../machine/program-starter.ts';

let known: Promise<ProgramStarter> | undefined;

/**
 * Starts what this process needs for itself, not for a session: without a copy of a daemon of hundreds of
 * MiB. One for the process, made when it is first asked for.
 */
export const ownStarter = (): Promise<ProgramStarter> => (known ??= open());

async function open(): Promise<ProgramStarter> {
  const load = await loadLibc();
  return new ProgramStarter(load.status === 'loaded' ? load.libc : undefined);
}
