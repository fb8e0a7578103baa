/** What a user gave cannot be used: the message says what is wrong and what to do, and is shown as it is. */
export class Refusal extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'Refusal';
  }
}
