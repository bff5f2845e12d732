import type { AuthorityType } from '../../../domain/authority-facts.ts';
import type { RotationPhase } from '../../../domain/rotation.ts';
import { isReplacement, type StepOutcome, type WantedStep } from './rotate-options.ts';
import { formatGoDuration } from '../../duration.ts';
import { counted, hostTable } from './rotation-text.ts';

/** Why a step was not taken, and what to do next. The hosts that lack the phase are in a table before it. */
export function blockedText({ steps, laggingCount }: StepOutcome, waitMs: number): string {
  const phases = phasesOf(steps.map(({ from }) => from));
  const waited = waitMs > 0 ? ` after ${formatGoDuration(waitMs)}` : '';
  return [
    `${hostsLack(laggingCount)} phase ${phases}${waited}: nothing was changed`,
    `See why on each: "systemctl status teleport" there, and its log; "tctl auth rotate --status" shows them again.`,
    'A host that is stopped or removed ("tctl nodes rm") is waited for no longer; --wait=10m waits longer.',
    `--force leaves them behind: ${leavingMeans(steps)}.`,
  ].join('\n');
}

/** Before the table of the hosts that were left behind. */
export const leftText = ({ steps, laggingCount }: StepOutcome): string =>
  `WARNING: ${laggingCount === 1 ? '1 host is' : `${counted(laggingCount)} hosts are`} left behind: ${leavingMeans(steps)}:\n`;

/** The consequences for a host that is left in a phase. */
function leavingMeans(steps: StepOutcome['steps']): string {
  return steps.some(({ to }) => to === 'standby')
    ? 'their certificates are of a key that is withdrawn, everybody refuses them, and they have to join again with a token'
    : 'until they have caught up they may refuse others, and others them; they catch up by themselves until standby';
}

/** What a step would do, and to whom. */
export function dryRunText(step: WantedStep, { steps, lagging, laggingCount }: StepOutcome): string {
  const lines = steps.map(({ type, from, to }) => {
    return isReplacement(step)
      ? `Would replace every key of the ${type} authority at once: what they signed is refused from then on`
      : `Would take the ${type} authority from ${from} to ${to}: ${stepText({ from, to })}`;
  });
  if (isReplacement(step) && !step.force) lines.push('It would be refused without --force');
  if (laggingCount > 0) {
    const phases = phasesOf(steps.map(({ from }) => from));
    const outcome =
      step.force || isReplacement(step) ? 'would be left behind' : 'would have to be waited for';
    lines.push(`${hostsLack(laggingCount)} phase ${phases} and ${outcome}:`);
  }
  const table = laggingCount > 0 ? hostTable(lagging, laggingCount) : '';
  return `${lines.map((line) => `${line}\n`).join('')}${table}Nothing was changed\n`;
}

/** The effect of a step on the cluster. */
function stepText({ from, to }: { readonly from: RotationPhase; readonly to: RotationPhase }): string {
  if (to === 'standby') return from === 'rollback' ? withdrawn.rollback : withdrawn.update;
  return entering[to];
}

const entering: Readonly<Record<Exclude<RotationPhase, 'standby'>, string>> = {
  init: 'a new key is made and trusted beside the old one, which goes on signing',
  update_clients: 'the new key signs, and machines show certificates of it when they call others',
  update_servers: 'machines show certificates of the new key when they are called, too',
  rollback: 'the old key signs again and machines go back to it; the new one stays trusted until standby',
};
const withdrawn = {
  update: 'the old key is withdrawn: what it signed is refused from then on',
  rollback: 'the new key is withdrawn, the old one stays: what the new one signed is refused from then on',
};

/** What everybody has to do after all keys were withdrawn at once. */
export function replacedText(types: readonly AuthorityType[]): string {
  const lines = [
    'Every old key is void. What has to be done now:',
    ...(types.includes('user')
      ? [
          '- people log in again (tsh login); their sessions have ended; identity files are signed again (tctl auth sign)',
        ]
      : []),
    ...(types.includes('host')
      ? [
          '- each proxy and node joins again: set a token (tctl tokens add) and the CA pin that tctl status prints now, and',
          '  restart it: it is let in at once, under the id that it has',
          '- stock ssh needs the new host authority (tsh config, or tctl auth export --type=host)',
        ]
      : []),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

const hostsLack = (count: number): string =>
  count === 1 ? '1 host still lacks' : `${counted(count)} hosts still lack`;

const phasesOf = (phases: readonly RotationPhase[]): string => [...new Set(phases)].join(', ');
