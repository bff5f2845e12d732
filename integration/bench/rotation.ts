import type { AuthDaemon, AuthDaemons } from '../simulator/auth-daemons.ts';
import { cpuSeconds } from './measure.ts';
import type { Logins } from './presence-logins.ts';

export interface PhaseFigures {
  readonly phase: string;
  /** From the step until every host has acknowledged it. */
  readonly seconds: number;
  /** Of all auth servers. */
  readonly cpuSeconds: number;
  /** Milliseconds of each login meanwhile. */
  readonly logins: readonly number[];
  /** Logins that were told to try again. */
  readonly failed: number;
}

export interface RotationStage {
  readonly daemons: AuthDaemons;
  readonly auths: readonly AuthDaemon[];
  /** By a proxy that follows the rotation. */
  readonly logins: Logins;
}

const phases = ['init', 'update_clients', 'update_servers', 'standby'];

export const cpuOfAuths = (auths: readonly AuthDaemon[]): number =>
  auths.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);

/**
 * Milliseconds of the auth servers' CPU that a phase took for each host, without the logins meanwhile: these
 * take most of it where hosts are few.
 */
export const cpuMsOfHost = (
  { cpuSeconds: spent, logins }: PhaseFigures,
  { hosts, secondsOfLogin }: { readonly hosts: number; readonly secondsOfLogin: number },
): number => (1000 * (spent - logins.length * secondsOfLogin)) / hosts;

/**
 * Rotates both authorities as an operator does, phase by phase, each when all hosts have acknowledged the one
 * before.
 */
export async function rotateAuthorities(stage: RotationStage): Promise<readonly PhaseFigures[]> {
  const figures: PhaseFigures[] = [];
  for (const phase of phases) figures.push(await takePhase(stage, phase));
  return figures;
}

async function takePhase({ daemons, auths, logins }: RotationStage, phase: string): Promise<PhaseFigures> {
  const [operated] = auths;
  if (!operated) throw new Error('there is no auth server');
  const [began, before] = [performance.now(), cpuOfAuths(auths)];
  let over = false;
  const trying = logins.during(() => over);
  logins.failed();
  const ran = await daemons.tctl(operated, 'auth', 'rotate', `--phase=${phase}`, '--manual', '--wait=1h');
  const figures = { seconds: (performance.now() - began) / 1000, cpuSeconds: cpuOfAuths(auths) - before };
  over = true;
  const took = await trying;
  // It reports whoever did not follow, and nothing of those who did.
  if (ran.code !== 0 || ran.stderr.includes('did not report'))
    throw new Error(`tctl auth rotate --phase=${phase}: ${ran.stdout}${ran.stderr}`);
  return { phase, ...figures, logins: took, failed: logins.failed() };
}
