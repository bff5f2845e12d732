import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * The environment in which `tctl` is that of the machine whose configuration is `config`, for commands as the
 * manual and transcripts have them. Makes a folder in `dir`.
 */
export function withTctlOf(
  { dir, config }: { readonly dir: string; readonly config: string },
  env: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const folder = join(dir, 'wrapped');
  mkdirSync(folder);
  const program = `#!/bin/sh\nexec ${resolve('bin/tctl')} --config ${config} "$@"\n`;
  writeFileSync(join(folder, 'tctl'), program, { mode: 0o755 });
  return { ...env, TELEPORT_CONFIG: '', PATH: `${folder}:${env['PATH'] ?? ''}` };
}
