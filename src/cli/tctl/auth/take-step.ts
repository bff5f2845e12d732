import type { AuthorityRotation } from '../../../api/operations/authority.ts';
import { second } from '../../../base/duration.ts';
import { isCoded, messageOf } from '../../../base/errors.ts';
import type { AuthorityType } from '../../../domain/authority-facts.ts';
import type { CliIo } from '../../cli-io.ts';
import { ExitStatus } from '../../errors.ts';
import { formatGoDuration } from '../../duration.ts';
import { heardOrDone } from '../lost-answer.ts';
import { type Following, followingOf } from './following.ts';
import { isReplacement, type RotateRequest, type StepOutcome, type WantedStep } from './rotate-options.ts';
import { type Progress, rotationProgress } from './rotation-progress.ts';
import { counted, hostTable, progressText } from './rotation-text.ts';
import { blockedText, dryRunText, leftText, replacedText } from './step-text.ts';

/** Calls to an auth server. */
export interface RotationCalls {
  rotate(step: WantedStep): Promise<StepOutcome>;
  rotations(types: readonly AuthorityType[]): Promise<readonly AuthorityRotation[]>;
}

export interface StepDeps {
  readonly calls: RotationCalls;
  readonly io: CliIo;
  readonly pause: (ms: number) => Promise<void>;
  readonly monotonic: () => number;
}

/** A host that adopts a phase reports it within a second or two. */
const pollMs = second / 2;

/**
 * Takes a step and shows which hosts follow. When hosts lack the previous phase, waits for them first.
 * @throws ExitStatus 1 with the hosts and what they lack, when they still do; nothing was changed then.
 */
export async function takeStep(
  request: Extract<RotateRequest, { status: 'step' }>,
  deps: StepDeps,
): Promise<number> {
  const { step, isNamed, waitMs } = request;
  const { io } = deps;
  const first = await taken(step, deps);
  if (first.status === 'dry_run') {
    io.stdout.write(dryRunText(step, first));
    return 0;
  }
  const outcome = first.status === 'blocked' ? await untilTaken(first, request, deps) : first;
  if (outcome.status === 'blocked') {
    io.stderr.write(hostTable(outcome.lagging, outcome.laggingCount));
    throw new ExitStatus(1, blockedText(outcome, waitMs));
  }
  io.stdout.write(
    isNamed
      ? `Updated rotation phase to "${step.phase}". To check status use 'tctl status'\n`
      : `Initiated certificate authority rotation. To check status use 'tctl status'\n`,
  );
  if (outcome.laggingCount > 0) {
    io.stderr.write(leftText(outcome));
    io.stderr.write(hostTable(outcome.lagging, outcome.laggingCount));
  }
  if (isReplacement(step)) io.stderr.write(replacedText(step.types));
  else await watchFollowing(outcome, request, deps);
  return 0;
}

/** Where the answer was lost: which hosts it would have named is not known any more. */
async function taken(step: WantedStep, { calls, io }: StepDeps): Promise<StepOutcome> {
  const answer = await heardOrDone(calls.rotate(step), io);
  if (answer !== undefined) return answer;
  const rotations = await calls.rotations(step.types);
  const steps = rotations.map(({ type, phase }) => ({ type, from: phase, to: phase }));
  return { status: 'done', steps, lagging: [], laggingCount: 0 };
}

/** Waits for hosts that lack the phase that ends, and tries again when none does. */
async function untilTaken(
  first: StepOutcome,
  { step, waitMs }: { readonly step: WantedStep; readonly waitMs: number },
  deps: StepDeps,
): Promise<StepOutcome> {
  const from = new Set(first.steps.map((one) => one.from));
  let outcome = first;
  await watching(waitMs, deps, async (progress) => {
    const following = followingOf(await deps.calls.rotations(step.types));
    progress.show(progressText(following));
    // If somebody else has taken a step in the meantime, the auth server reports it.
    const isMoved = following.phases.some((phase) => !from.has(phase));
    if (following.lacking > 0 && !isMoved) return false;
    outcome = await taken(step, deps);
    return outcome.status !== 'blocked';
  });
  return outcome;
}

/** The step is taken: failing to watch it is not a failure of the step. */
async function watchFollowing(
  { steps }: StepOutcome,
  { step, waitMs }: { readonly step: WantedStep; readonly waitMs: number },
  deps: StepDeps,
): Promise<void> {
  const { io, calls } = deps;
  const entered = new Set(steps.map(({ to }) => to));
  let last: { readonly following: Following; readonly rotations: readonly AuthorityRotation[] } | undefined;
  try {
    await watching(waitMs, deps, async (progress) => {
      const rotations = await calls.rotations(step.types);
      const following = followingOf(rotations);
      // The rotation continued, by itself or by somebody else: there is no host to wait for in this phase.
      if (following.phases.some((phase) => !entered.has(phase))) return true;
      last = { following, rotations };
      progress.show(progressText(following));
      return following.lacking === 0;
    });
  } catch (e) {
    if (!isCoded(e)) throw e;
    io.stderr.write(`The step was taken; how hosts follow could not be read: ${messageOf(e)}\n`);
    return;
  }
  if (last !== undefined) io.stderr.write(nextText(last.following, last.rotations, waitMs));
}

function nextText({ lacking }: Following, rotations: readonly AuthorityRotation[], waitMs: number): string {
  const lines: string[] = [];
  if (lacking > 0)
    lines.push(
      `${counted(lacking)} did not report it within ${formatGoDuration(waitMs)}: 'tctl auth rotate --status' names them, and the next step waits for them`,
    );
  const underWay = rotations.find((one) => one.underWay !== undefined)?.underWay;
  if (underWay === undefined) return lines.map((line) => `${line}\n`).join('');
  const type = rotations.length === 1 ? ` --type=${rotations[0]?.type ?? ''}` : '';
  lines.push(
    underWay.mode === 'auto'
      ? `The next step, ${underWay.next}, is taken by itself`
      : `Next: tctl auth rotate${type} --phase=${underWay.next}`,
  );
  if (rotations.some(({ phase }) => phase !== 'rollback'))
    lines.push(`To go back: tctl auth rotate${type} --phase=rollback`);
  return lines.map((line) => `${line}\n`).join('');
}

/** Polls until `look` succeeds, or the time is over; once at least. */
async function watching(
  waitMs: number,
  { io, pause, monotonic }: StepDeps,
  look: (progress: Progress) => Promise<boolean>,
): Promise<void> {
  const end = monotonic() + waitMs;
  const progress = rotationProgress(io);
  try {
    while (!(await look(progress))) {
      const leftMs = end - monotonic();
      if (leftMs <= 0) return;
      await pause(Math.min(pollMs, leftMs));
    }
  } finally {
    progress.end();
  }
}
