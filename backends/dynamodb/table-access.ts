import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Requests } from './requests.ts';

/** One table, and how it is asked. */
export interface TableAccess {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** Each of these: the SDK's own error for anything that `pass` names. */
  read<T>(act: () => Promise<T>, pass?: readonly string[]): Promise<T>;
  /** For a write that changes nothing when it is sent again, or arrives late. */
  write<T>(act: () => Promise<T>, pass?: readonly string[]): Promise<T>;
  /** `ambiguous` at once when its answer is lost. */
  writeOnce<T>(act: () => Promise<T>, pass?: readonly string[]): Promise<T>;
  readonly requests: Requests;
  count(units: { readonly CapacityUnits?: number | undefined } | undefined, kind: 'read' | 'write'): void;
}

/** By this name the SDK reports that a condition did not hold: nothing was written. */
export const conditionFailed = 'ConditionalCheckFailedException';
