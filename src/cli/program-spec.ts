/** `switch` takes no value and accepts `--no-name`; `values` may be given several times. */
export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  readonly kind: 'switch' | 'value' | 'values';
  readonly help: string;
  /** Environment variables used when the flag is not given; the first that is set and not empty. */
  readonly env?: readonly string[];
  readonly choices?: readonly string[];
  /** `true` or `false` for a switch. */
  readonly default?: string;
  readonly required?: boolean;
  readonly hidden?: boolean;
  /** Why this release does not support it: giving the flag is then an error with this reason. */
  readonly refuse?: string;
}

export interface ArgSpec {
  readonly name: string;
  readonly help: string;
  readonly required?: boolean;
  /** Takes all further operands. Only for the last one. */
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
  /** Everything after the first operand belongs to the remote command: `ssh host ls -l`. */
  readonly stopAtOperand?: boolean;
  readonly refuse?: string;
}

export interface ProgramSpec {
  readonly name: string;
  readonly help: string;
  readonly flags: readonly FlagSpec[];
  readonly commands: readonly CommandSpec[];
}
