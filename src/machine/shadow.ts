/** The fields of shadow(5) about an account. Numbers are days since 1970, or lengths in days. */
export interface ShadowEntry {
  /** `!` in front of it locks the account; `*` is only no password. */
  readonly password: string;
  /** When the password was set; 0: it must be changed first. */
  readonly changed: number | undefined;
  readonly maxAge: number | undefined;
  /** How long after that the account is still usable. */
  readonly inactive: number | undefined;
  /** From this day on the account is closed. */
  readonly expires: number | undefined;
}

/** One line of shadow(5); undefined when it is invalid. An empty field, and -1, mean no value. */
export function parseShadowLine(line: string): ShadowEntry | undefined {
  const fields = line.split(':');
  const [name = '', password = '', changed = '', , maxAge = '', , inactive = '', expires = ''] = fields;
  if (fields.length !== 9 || name === '') return undefined;
  const numbers = [changed, maxAge, inactive, expires];
  if (!numbers.every((text) => /^(-1|\d{1,9})?$/.test(text))) return undefined;
  const days = (text: string): number | undefined =>
    text === '' || text === '-1' ? undefined : Number(text);
  return {
    password,
    changed: days(changed),
    maxAge: days(maxAge),
    inactive: days(inactive),
    expires: days(expires),
  };
}

/** As in sshd without PAM. */
export const isLocked = (password: string): boolean =>
  password.startsWith('!') || password.startsWith('*LK*');

/**
 * Why nobody may use the account on the day `today`, or undefined. Dates as pam_unix reads them. A password
 * that has run out counts only where there is one: nobody can change what does not exist.
 */
export function shadowFault(entry: ShadowEntry, today: number, admitsLocked: boolean): string | undefined {
  const { password, expires } = entry;
  if (expires !== undefined && today >= expires) return 'it has expired';
  if (isLocked(password)) return admitsLocked ? undefined : 'it is locked';
  return password.startsWith('*') ? undefined : passwordFault(entry, today);
}

function passwordFault({ changed, maxAge, inactive }: ShadowEntry, today: number): string | undefined {
  if (changed === 0) return 'its password must be changed first';
  if (changed === undefined || maxAge === undefined || today <= changed + maxAge) return undefined;
  return inactive !== undefined && today > changed + maxAge + inactive
    ? 'it is inactive: its password has expired long ago'
    : 'its password has expired';
}
