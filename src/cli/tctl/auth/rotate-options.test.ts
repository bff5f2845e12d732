import { describe, expect, it } from 'vitest';
import { type Invocation, parseArgs } from '../../args.ts';
import { tctlProgram } from '../program.ts';
import { type RotateRequest, rotateRequestOf } from './rotate-options.ts';

function invocationOf(args: readonly string[]): Invocation {
  const parsed = parseArgs(tctlProgram, ['auth', 'rotate', ...args], {});
  if (parsed.kind !== 'run') throw new Error('expected a command');
  return parsed.invocation;
}
const read = (...args: string[]): RotateRequest => rotateRequestOf(invocationOf(args));
function stepOf(...args: string[]) {
  const request = read(...args);
  if (request.status !== 'step') throw new Error('expected a step');
  return request;
}

const hourMs = 3600 * 1000;

describe('the flags of auth rotate', () => {
  it('start an automatic rotation of both authorities within 30 hours when there are none', () => {
    expect(read()).toEqual({
      status: 'step',
      isNamed: false,
      waitMs: 30_000,
      step: {
        types: ['user', 'host'],
        phase: 'init',
        mode: 'auto',
        gracePeriodMs: 30 * hourMs,
        force: false,
        dryRun: false,
        endSessions: false,
      },
    });
  });

  it('take a step by hand with --phase, and start one by hand with --manual alone', () => {
    expect(stepOf('--phase=init')).toMatchObject({ isNamed: true, step: { mode: 'manual', phase: 'init' } });
    expect(stepOf('--phase=update_servers').step).toMatchObject({ mode: 'manual', phase: 'update_servers' });
    expect(stepOf('--manual')).toMatchObject({ isNamed: false, step: { mode: 'manual', phase: 'init' } });
  });

  it('name one authority, a grace period, and how long to wait', () => {
    const { step, waitMs } = stepOf('--type=host', '--grace-period=90s', '--wait=1m30s');
    expect(step).toMatchObject({ types: ['host'], gracePeriodMs: 90_000 });
    expect(waitMs).toBe(90_000);
    expect(stepOf('--wait=0').waitMs).toBe(0);
    expect(stepOf('--grace-period=0', '--force').step).toMatchObject({ gracePeriodMs: 0, force: true });
    expect(stepOf('--grace-period=0s').step.gracePeriodMs).toBe(0);
  });

  it.each([
    [['--grace-period=5'], '--grace-period: time: missing unit in duration "5"'],
    [['--grace-period=90000h'], '--grace-period: "90000h" is too long: from 0h to 87600h'],
    [['--wait=25h'], '--wait: "25h" is too long: from 0h to 24h'],
    [
      ['--phase=later'],
      "--phase: enum value must be one of init,standby,update_clients,update_servers,rollback, got 'later'",
    ],
    [['--type=tls'], "--type: enum value must be one of user,host, got 'tls'"],
  ])('are refused where they cannot be read: %s', (args, message) => {
    expect(() => read(...args)).toThrow(message);
  });

  it.each([
    [
      ['--phase=update_clients', '--grace-period=1h'],
      '--grace-period is set when a rotation starts, with --phase=init',
    ],
    [
      ['--phase=rollback', '--end-sessions'],
      '--end-sessions goes with the start of a rotation, or with --phase=standby, by which a key is withdrawn',
    ],
    [
      ['--type=host', '--end-sessions'],
      '--end-sessions is about the user authority: no session rests on a key for hosts',
    ],
    [['--format=json'], '--format goes with --status only'],
    [['--status', '--force'], '--force does not go with --status, which changes nothing'],
    [['--status', '--phase=init'], '--phase does not go with --status, which changes nothing'],
  ])('are refused where they would have no effect: %s', (args, message) => {
    expect(() => read(...args)).toThrow(message);
  });

  it('end sessions where a key is withdrawn, or will be by the rotation that starts', () => {
    expect(stepOf('--end-sessions').step).toMatchObject({ phase: 'init', mode: 'auto', endSessions: true });
    expect(stepOf('--manual', '--type=user', '--end-sessions').step.endSessions).toBe(true);
    expect(stepOf('--phase=standby', '--end-sessions').step.endSessions).toBe(true);
    expect(stepOf('--grace-period=0', '--force', '--end-sessions').step.endSessions).toBe(true);
  });

  it('ask for a report', () => {
    expect(read('--status')).toEqual({ status: 'report', types: ['user', 'host'], format: 'text' });
    expect(read('--status', '--type=user', '--format=json')).toEqual({
      status: 'report',
      types: ['user'],
      format: 'json',
    });
  });
});
