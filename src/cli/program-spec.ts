/** `switch` takes no value and knows `--no-name`; `values` may be given several times. */
export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  readonly kind: 'switch' | 'value' | 'values';
  readonly help: string;
  /** Environment variables that stand in when the flag is not given; the first that is set and not empty. */
  readonly env?: readonly string[];
  readonly choices?: readonly string[];
  /** `true` or `false` for a switch. */
  readonly default?: string;
  readonly required?: boolean;
  readonly hidden?: boolean;
  /** Why this release does not do it: giving the flag is then an error with this reason. */
  readonly refuse?: string;
}

export interface ArgSpec {
  readonly name: string;
  readonly help: string;
  readonly required?: boolean;
  /** Takes all that follows. Only for the last one. */
  readonly rest?: boolean;
}

export interface CommandSpec {
  /** `ssh`, or with its group: `users add`. */
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly help: string;
  readonly flags?: readonly FlagSpec[];
  readonly args?: readonly ArgSpec[];
  readonly hidden?: boolean;
  /** What follows the first operand belongs to somebody else: `ssh host ls -l`. */
  readonly stopAtOperand?: boolean;
  readonly refuse?: string;
}

export interface ProgramSpec {
  readonly name: string;
  readonly help: string;
  readonly flags: readonly FlagSpec[];
  readonly commands: readonly CommandSpec[];
}
