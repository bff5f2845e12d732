import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { version } from '../../src/base/version.ts';

export const laterVersion = version.replace(/\d+$/, (patch) => String(Number(patch) + 1));

/**
 * A release with other shapes of all states: `users.1` and its like are `users.2`. What it knows of earlier
 * ones stays: it cannot read a state of the release before, and folds again.
 */
const raiseProjections = (text: string): string =>
  text.replaceAll(
    /"(authorities|cluster|configuration|hosts|invites|presence|roles|tokens|users)\.(\d+)"(?!,\s*upcast)/g,
    (_name, view: string, n: string) => `"${view}.${Number(n) + 1}"`,
  );

/** The program as it is, and the same under a later version number, with every projection raised. */
export function twoReleases(dir: string): { readonly before: string; readonly after: string } {
  const release = (name: string, change: (text: string) => string): string => {
    const path = join(dir, name);
    cpSync('bin', join(path, 'bin'), { recursive: true });
    cpSync('dist', join(path, 'dist'), { recursive: true });
    for (const file of readdirSync(join(path, 'dist')).filter((one) => one.endsWith('.js'))) {
      const text = readFileSync(join(path, 'dist', file), 'utf8');
      writeFileSync(join(path, 'dist', file), change(text));
    }
    writeFileSync(join(path, 'package.json'), readFileSync('package.json'));
    for (const shared of ['node_modules', '.tools']) symlinkSync(resolve(shared), join(path, shared));
    return path;
  };
  return {
    before: release('before', (text) => text),
    after: release('after', (text) => raiseProjections(text.replaceAll(`"${version}"`, `"${laterVersion}"`))),
  };
}
