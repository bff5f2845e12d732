import { CodedError, type CodedErrorOptions } from '../base/errors.ts';

/** The response was lost, but the log has what was asked for. The message has both. */
export class DoneUnheard extends CodedError {
  constructor(message: string, options?: CodedErrorOptions) {
    super('unavailable', message, options);
  }
}
