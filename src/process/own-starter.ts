import { loadLibc } from '../machine/libc.ts';
import { ProgramStarter } from '../machine/program-starter.ts';

let known: Promise<ProgramStarter> | undefined;

/**
 * Starts programs that this process itself needs, not for a session, without forking a daemon of hundreds of
 * MiB. One for the process, made on first use.
 */
export const ownStarter = (): Promise<ProgramStarter> => (known ??= open());

async function open(): Promise<ProgramStarter> {
  const load = await loadLibc();
  return new ProgramStarter(load.status === 'loaded' ? load.libc : undefined);
}
