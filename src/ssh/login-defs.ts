/** What login.defs(5) says of a PATH. */
export interface LoginPaths {
  readonly user: string;
  readonly superuser: string;
}

/** Where the file says nothing. */
export const defaultPaths: LoginPaths = {
  user: '/bin:/usr/bin:/usr/local/bin:/sbin',
  superuser: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};

/** Reads `ENV_PATH PATH=/bin:/usr/bin` and `ENV_SUPATH`; with or without `PATH=`. The last line of a name counts. */
export function parseLoginDefs(text: string): LoginPaths {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^\s*(ENV_PATH|ENV_SUPATH)\s+"?(?:PATH=)?([^\s"]+)"?\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) found.set(name, value);
  }
  return {
    user: found.get('ENV_PATH') ?? defaultPaths.user,
    superuser: found.get('ENV_SUPATH') ?? defaultPaths.superuser,
  };
}
