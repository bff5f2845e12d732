import { judgementOf } from './judged.ts';
import type { Mutant } from './plant.ts';
import type { Room } from './rooms.ts';
import type { Outcome } from './unit-tests.ts';

export interface Tried {
  readonly mutant: Mutant;
  readonly outcome: Outcome;
}

/** Of the mutants of a room that are neither equivalent nor harmless, this share is to be noticed. */
export const bar = 0.9;

export interface Figures {
  readonly sampled: number;
  readonly judged: number;
  /** Of these nothing is known: the test runner broke. */
  readonly broken: number;
  readonly reached: number;
  readonly noticed: number;
}

const isNoticed = ({ outcome }: Tried): boolean =>
  outcome.status === 'noticed' || outcome.status === 'noticed by its time';
const isBroken = ({ outcome }: Tried): boolean => outcome.status === 'not judged';
const isJudged = (one: Tried): boolean =>
  !isNoticed(one) && !isBroken(one) && judgementOf(one.mutant) !== undefined;

export function figuresOf(tried: readonly Tried[]): Figures {
  const judged = tried.filter(isJudged).length;
  const counted = tried.filter((one) => !isJudged(one) && !isBroken(one));
  return {
    sampled: tried.length,
    judged,
    broken: tried.filter(isBroken).length,
    reached: counted.filter(({ outcome }) => outcome.status !== 'not reached').length,
    noticed: counted.filter(isNoticed).length,
  };
}

/**
 * Whether a room is where it is to be: all that counts is reached, nine of ten are noticed, and of each the
 * outcome is known.
 */
export const isAtBar = ({ sampled, judged, broken, reached, noticed }: Figures): boolean =>
  broken === 0 && reached === sampled - judged && noticed >= bar * (sampled - judged);

/** One line for each room, then every mutant that nothing noticed. */
export function reportOf(tried: readonly Tried[], possible: ReadonlyMap<Room, number>): string {
  const rows = [...possible].map(([room, all]) => {
    const figures = figuresOf(tried.filter(({ mutant }) => mutant.room === room));
    const { sampled, judged, broken, reached, noticed } = figures;
    const counted = sampled - judged - broken;
    const share = counted === 0 ? '-' : `${Math.floor((100 * noticed) / counted)} %`;
    const cells = [
      room,
      all,
      sampled,
      judged,
      broken,
      reached,
      noticed,
      share,
      isAtBar(figures) ? '' : 'below the bar',
    ];
    return row(cells.map(String));
  });
  const head = row(['room', 'possible', 'sampled', 'judged', 'broken', 'reached', 'noticed', 'share', '']);
  const survivors = tried.filter((one) => !isNoticed(one) && !isJudged(one)).map(line);
  return [head, ...rows, ...(survivors.length === 0 ? [] : ['', 'not noticed:', ...survivors])].join('\n');
}

const row = ([room = '', ...rest]: readonly string[]): string =>
  `${room.padEnd(10)}${rest.map((cell) => cell.padStart(10)).join('')}`.trimEnd();

/** `file:line`, what became of it, and the change. */
export function line({ mutant, outcome }: Tried): string {
  const { path, line: at, kind, from, to } = mutant;
  const change = to === 'left out' ? short(from) : `${short(from)}  ->  ${short(to.expression)}`;
  const how =
    outcome.status === 'survived' && outcome.notRun > 0
      ? `, ${outcome.notRun} files not run`
      : outcome.status === 'not judged'
        ? ` (${outcome.why})`
        : '';
  return `${path}:${at}: ${outcome.status}${how}: ${kind}: ${change}`;
}

function short(text: string): string {
  const one = text.replaceAll(/\s+/g, ' ');
  return one.length > 100 ? `${one.slice(0, 99)}…` : one;
}
