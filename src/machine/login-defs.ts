/** The PATH settings of login.defs(5). */
export interface LoginPaths {
  readonly user: string;
  readonly superuser: string;
}

/** The settings of login.defs(5) for a session. */
export interface LoginDefs {
  readonly paths: LoginPaths;
  /** Octal. */
  readonly umask: string;
}

/** Used where the file has none. */
export const defaultPaths: LoginPaths = {
  user: '/bin:/usr/bin:/usr/local/bin:/sbin',
  superuser: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};

export const defaultUmask = '022';

/**
 * Reads `ENV_PATH PATH=/bin:/usr/bin` and `ENV_SUPATH`, with or without `PATH=`, and `UMASK`. The last line
 * of a name counts.
 */
export function parseLoginDefs(text: string): LoginDefs {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^\s*(ENV_PATH|ENV_SUPATH)\s+"?(?:PATH=)?([^\s"]+)"?\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) found.set(name, value);
    const [, umask] = /^\s*UMASK\s+(0?[0-7]{3})\s*$/.exec(line) ?? [];
    if (umask !== undefined) found.set('UMASK', umask);
  }
  return {
    paths: {
      user: found.get('ENV_PATH') ?? defaultPaths.user,
      superuser: found.get('ENV_SUPATH') ?? defaultPaths.superuser,
    },
    umask: found.get('UMASK') ?? defaultUmask,
  };
}
