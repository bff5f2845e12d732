import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { changesOf } from './changes.ts';
import type { Mutant } from './plant.ts';
import { randomBy, shuffled } from './random.ts';
import { isMutated, type Room } from './rooms.ts';

export interface Wish {
  /** Of the checkout. */
  readonly root: string;
  readonly seed: number;
  readonly rooms: readonly Room[];
  /** Of each room. */
  readonly count: number;
  /** Only files whose path holds this. */
  readonly files: string;
}

export interface Sample {
  readonly possible: ReadonlyMap<Room, number>;
  readonly mutants: readonly Mutant[];
}

/** A fair sample: the same for the same seed and the same code. At most one mutant of each place. */
export function sampleOf({ root, seed, rooms, count, files }: Wish): Sample {
  const program = programOf(root);
  const random = randomBy(seed);
  const possible = new Map<Room, number>();
  const taken: Omit<Mutant, 'id'>[] = [];
  for (const room of rooms) {
    const all = filesOf(root, room)
      .filter((path) => path.includes(files))
      .flatMap((path) => mutantsOf(program, root, { path, room }));
    possible.set(room, all.length);
    taken.push(...onePerPlace(shuffled(all, random)).slice(0, count));
  }
  return { possible, mutants: taken.map((one, i) => ({ ...one, id: i + 1 })) };
}

function programOf(root: string): ts.Program {
  const path = join(root, 'tsconfig.json');
  const read = ts.readConfigFile(path, (file) => ts.sys.readFile(file));
  const { fileNames, options } = ts.parseJsonConfigFileContent(read.config, ts.sys, root);
  return ts.createProgram(
    fileNames.filter((name) => name.startsWith(join(root, 'src/'))),
    { ...options, incremental: false },
  );
}

const filesOf = (root: string, room: Room): string[] =>
  readdirSync(join(root, 'src', room), { recursive: true, encoding: 'utf8' })
    .map((name) => `src/${room}/${name}`)
    .filter(isMutated)
    .sort();

function mutantsOf(
  program: ts.Program,
  root: string,
  at: { readonly path: string; readonly room: Room },
): Omit<Mutant, 'id'>[] {
  const file = program.getSourceFile(join(root, at.path));
  if (file === undefined) throw new Error(`${at.path} is not part of the program`);
  return changesOf(file, program.getTypeChecker()).map((change) => ({
    ...change,
    ...at,
    line: file.getLineAndCharacterOfPosition(change.start).line + 1,
    from: file.text.slice(change.start, change.end),
  }));
}

/** Two switches at one place would be one inside the other, of which only the outer could be reached. */
function onePerPlace<T extends Pick<Mutant, 'path' | 'start' | 'end'>>(mutants: readonly T[]): T[] {
  const seen = new Set<string>();
  return mutants.filter(({ path, start, end }) => {
    const place = `${path}:${start}:${end}`;
    return !seen.has(place) && seen.add(place);
  });
}
