import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Requests } from './requests.ts';

/** One table, and how it is called. */
export interface TableAccess {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** For each of these: the SDK's own error for anything that `pass` names. */
  read<T>(act: () => Promise<T>, pass?: readonly string[]): Promise<T>;
  /** For a write that changes nothing when it is sent again, or arrives late. */
  write<T>(act: () => Promise<T>, pass?: readonly string[]): Promise<T>;
  /** `ambiguous` at once when its reply is lost. */
  writeOnce<T>(act: () => Promise<T>, pass?: readonly string[]): Promise<T>;
  readonly requests: Requests;
  count(units: { readonly CapacityUnits?: number | undefined } | undefined, kind: 'read' | 'write'): void;
}

/** The SDK's error name for a failed condition: nothing was written. */
export const conditionFailed = 'ConditionalCheckFailedException';
