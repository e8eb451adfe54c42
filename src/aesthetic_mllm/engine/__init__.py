"""The engine under the assessor: photos encoded, prompts about them rated and answered. It knows model and processor, no task."""
